"""Predict a whole volume window by window."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.errors import InputError

Size = tuple[int, int, int]
Predict = Callable[[Tensor], Tensor]

# Air is at the lower end of the window, 0 after normalisation; noise stays below this.
AIR = 0.02

# What the deepest network (five levels) can halve.
MULTIPLE = 16


@dataclass(frozen=True)
class Window:
    """How a volume is cut for prediction (DVCL, appendix D).

    Attributes:
        size: Voxels along (D, H, W) of the prepared grid.
        stride: Distance between windows; half the size lets eight windows overlap.
        skip_air: Leave out windows that hold nothing but air; they become background.
        fit: Shrink windows to volumes that are smaller, instead of padding the volume.
    """

    size: Size = (64, 160, 160)
    stride: Size = (32, 80, 80)
    skip_air: bool = False
    fit: bool = False

    def __post_init__(self) -> None:
        pairs = zip(self.stride, self.size, strict=True)
        if not all(1 <= stride <= size for stride, size in pairs):
            raise InputError(
                f"window: stride {self.stride} found for size {self.size}; between 1 and the size "
                "was expected along each axis."
            )

    def fast(self) -> Window:
        """Twice as large along each axis, barely overlapping, air left out."""
        depth, height, width = self.size
        size = (2 * depth, 2 * height, 2 * width)
        stride = (depth * 7 // 4, height * 7 // 4, width * 7 // 4)
        return Window(size, stride, skip_air=True, fit=True)

    def fitted(self, shape: Size) -> Window:
        """The window for a volume of this shape; sides stay multiples of `MULTIPLE`."""
        if not self.fit:
            return self
        needed = (-(-side // MULTIPLE) * MULTIPLE for side in shape)
        depth, height, width = (min(a, b) for a, b in zip(self.size, needed, strict=True))
        down, back, across = (
            min(a, b) for a, b in zip(self.stride, (depth, height, width), strict=True)
        )
        return replace(self, size=(depth, height, width), stride=(down, back, across))


def predict_volume(
    predict: Predict,
    image: Tensor,
    window: Window,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Average class probabilities over all windows that cover a voxel, all windows equally.

    Args:
        predict: (1, 1, d, h, w) to class probabilities (1, K, d, h, w).
        image: (D, H, W) float32, prepared; padded with 0 (air) to at least one window.
        window: Size and stride; the last window of an axis is moved back to the border.
        device: Where windows are predicted and averages are kept.
        progress: Called with windows done and windows in all.

    Returns:
        (K, D, H, W) float32 on ``device``.
    """
    depth, height, width = image.shape
    window = window.fitted((depth, height, width))
    padded, inside = _pad(image.to(device), window.size)
    starts = list(itertools.product(*map(window_starts, padded.shape, window.size, window.stride)))
    total: Tensor | None = None
    visits = torch.zeros(padded.shape, device=device)
    air: list[tuple[slice, ...]] = []
    for done, start in enumerate(starts, 1):
        place = tuple(
            slice(first, first + side) for first, side in zip(start, window.size, strict=True)
        )
        visits[place] += 1
        # One window is predicted in any case: it tells the number of classes.
        is_last_hope = total is None and done == len(starts)
        if window.skip_air and not is_last_hope and bool(padded[place].amax() < AIR):
            air.append(place)
        else:
            probabilities = predict(padded[place][None, None])[0].float()
            if total is None:
                total = padded.new_zeros((len(probabilities), *padded.shape))
            total[:, *place] += probabilities
        if progress:
            progress(done, len(starts))
    assert total is not None
    for place in air:
        total[0][place] += 1
    return total.div_(visits)[:, *inside]


def window_starts(size: int, window: int, stride: int) -> list[int]:
    """First voxels of the windows along one axis; the last one ends at the border."""
    last = max(size - window, 0)
    return sorted({*range(0, last, stride), last})


def _pad(image: Tensor, size: Size) -> tuple[Tensor, tuple[slice, ...]]:
    """Pad symmetrically to at least ``size``, and tell where the image lies."""
    missing = [max(0, wanted - side) for side, wanted in zip(image.shape, size, strict=True)]
    before = [gap // 2 for gap in missing]
    after = [gap - first for gap, first in zip(missing, before, strict=True)]
    widths = [width for pair in zip(before[::-1], after[::-1], strict=True) for width in pair]
    inside = tuple(
        slice(first, first + side) for first, side in zip(before, image.shape, strict=True)
    )
    return F.pad(image, widths), inside
