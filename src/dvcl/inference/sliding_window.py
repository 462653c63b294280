"""Predict a whole volume window by window."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.errors import InputError

Size = tuple[int, int, int]
Place = tuple[slice, ...]
Predict = Callable[[Tensor], Tensor]
Importance = Literal["equal", "gaussian"]

# Air is at the lower end of the window, 0 after normalisation; noise stays below this.
AIR = 0.02

# Of the Gaussian: its deviation in sides, chosen on validation cases (docs/experiments.md), and its
# least value, MONAI's.
SPREAD = 0.25
LEAST = 1e-3

# What the deepest network (five levels) can halve.
MULTIPLE = 16

# Windows go through the network together up to so many voxels. A GPU is better used by as many as
# one of the paper's windows has. In float32 on a CPU torch runs small windows that are alone with a
# slow convolution (64 x 64 x 32 voxels take 0.30 s alone and 0.18 s in company), but maps that no
# longer fit into the cache make many together slower again, and memory grows with them.
VOXELS_AT_ONCE = 1_500_000
VOXELS_AT_ONCE_ON_CPU = 2 * 64 * 64 * 32


@dataclass(frozen=True)
class Window:
    """How a volume is cut for prediction (DVCL, appendix D).

    Attributes:
        size: Voxels along (D, H, W) of the prepared grid.
        stride: Distance between windows; half the size lets eight windows overlap.
        skip_air: Leave out windows that hold nothing but air; they become background.
        fit: Shrink windows to volumes that are smaller, instead of padding the volume.
        importance: Of a window's voxels in the mean over windows: "equal", as in the paper, or
            "gaussian", by which the middle counts most and the border, beyond which a network does
            not see, next to nothing.
    """

    size: Size = (64, 160, 160)
    stride: Size = (32, 80, 80)
    skip_air: bool = False
    fit: bool = False
    importance: Importance = "equal"

    def __post_init__(self) -> None:
        if self.importance not in get_args(Importance):
            raise InputError(
                f"window.importance: {self.importance!r} found, equal or gaussian expected."
            )
        pairs = zip(self.stride, self.size, strict=True)
        if not all(1 <= stride <= size for stride, size in pairs):
            raise InputError(
                f"window: stride {self.stride} found for size {self.size}; between 1 and the size "
                "was expected along each axis."
            )

    def fast(self) -> Window:
        """The same windows, barely overlapping, shrunk to small volumes, air left out.

        Windows twice as large took more time than they saved on a CPU (docs/experiments.md).
        """
        depth, height, width = (side - side // 8 for side in self.size)
        return replace(self, stride=(depth, height, width), skip_air=True, fit=True)

    def to_json(self) -> dict[str, Any]:
        """Plain values; without an equal importance, as earlier versions wrote none."""
        values = asdict(self)
        if self.importance == "equal":
            del values["importance"]
        return values

    def importance_map(self, device: torch.device) -> Tensor:
        """(d, h, w) float32 in 0..1: how much each voxel of a window counts in the mean."""
        importance = torch.ones(self.size, device=device)
        if self.importance == "equal":
            return importance
        for axis, side in enumerate(self.size):
            places = torch.arange(side, device=device) - (side - 1) / 2
            bell = (-0.5 * (places / (SPREAD * side)).square()).exp()
            importance *= bell.view([side if other == axis else 1 for other in range(3)])
        return importance.clamp_(min=LEAST)

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
    background: Sequence[int] = (0,),
) -> Tensor:
    """Average class probabilities over all windows that cover a voxel, by `Window.importance`.

    Args:
        predict: (B, 1, d, h, w) to class probabilities (B, K, d, h, w), each patch on its own.
        image: (D, H, W) float32, prepared; padded with 0 (air) to at least one window.
        window: Size and stride; the last window of an axis is moved back to the border.
        device: Where windows are predicted and averages are kept.
        progress: Called with windows done and windows in all.
        background: Channels that are 1 in windows of air that are left out.

    Returns:
        (K, D, H, W) float32 on ``device``.
    """
    depth, height, width = image.shape
    window = window.fitted((depth, height, width))
    padded, inside = pad_to(window.size, image.to(device))
    places = window_places(padded, window)
    importance = window.importance_map(device)
    counted = torch.zeros(padded.shape, device=device)
    wanted: list[Place] = []
    air: list[Place] = []
    for place in places:
        counted[place] += importance
        is_air = window.skip_air and bool(padded[place].amax() < AIR)
        (air if is_air else wanted).append(place)
    # One window is predicted in any case: it tells the number of classes.
    wanted = wanted or [air.pop()]
    total: Tensor | None = None
    at_once = windows_at_once(window.size, device)
    for first in range(0, len(wanted), at_once):
        group = wanted[first : first + at_once]
        probabilities = predict(torch.stack([padded[place][None] for place in group])).float()
        if total is None:
            total = padded.new_zeros((probabilities.shape[1], *padded.shape))
        for place, window_probabilities in zip(group, probabilities, strict=True):
            total[:, *place].addcmul_(window_probabilities, importance)
        if progress:
            progress(len(air) + first + len(group), len(places))
    assert total is not None
    for place in air:
        for channel in background:
            total[channel][place] += importance
    return total.div_(counted)[:, *inside]


def window_places(padded: Tensor, window: Window) -> list[Place]:
    """All windows over a volume (D, H, W) that is at least as large as one."""
    starts = map(window_starts, padded.shape, window.size, window.stride)
    return [
        tuple(slice(first, first + side) for first, side in zip(start, window.size, strict=True))
        for start in itertools.product(*starts)
    ]


def windows_at_once(size: Size, device: torch.device) -> int:
    """How many windows go through the network together."""
    voxels = VOXELS_AT_ONCE_ON_CPU if device.type == "cpu" else VOXELS_AT_ONCE
    return max(1, voxels // math.prod(size))


def window_starts(size: int, window: int, stride: int) -> list[int]:
    """First voxels of the windows along one axis; the last one ends at the border."""
    last = max(size - window, 0)
    return sorted({*range(0, last, stride), last})


def pad_to(size: Size, image: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    """Pad symmetrically to at least ``size``, and tell where the image lies."""
    missing = [max(0, wanted - side) for side, wanted in zip(image.shape, size, strict=True)]
    before = [gap // 2 for gap in missing]
    after = [gap - first for gap, first in zip(missing, before, strict=True)]
    widths = [width for pair in zip(before[::-1], after[::-1], strict=True) for width in pair]
    inside = tuple(
        slice(first, first + side) for first, side in zip(before, image.shape, strict=True)
    )
    return F.pad(image, widths), inside
