"""How a network sees a whole volume: what it believes everywhere, its features at some voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dvcl.inference.sliding_window import Window, pad_to, window_places, windows_at_once
from dvcl.methods.method import Representation


@torch.inference_mode()
def represent_volume(
    represent: Callable[[Tensor], Representation],
    image: Tensor,
    window: Window,
    voxels: Tensor,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Represent a volume in windows side by side, each voxel in one of them: nothing is averaged.

    Averaging over windows, as a prediction does, would blur the entropy, and features have no mean
    that any window has seen. Where the last window of an axis is moved back to the border, the
    later one counts.

    Args:
        represent: `Method.represent`.
        image: (D, H, W) float32, prepared.
        window: Its size counts, not its stride.
        voxels: (N, 3) int64 places (d, h, w) in ``image``.
        device: Where windows are represented.

    Returns:
        Log-probabilities (K, D, H, W) float32 on ``device``; features (N, d) float32 on the CPU.
    """
    depth, height, width = image.shape
    size = window.fitted((depth, height, width)).size
    padded, inside = pad_to(size, image.to(device))
    shift = torch.tensor([axis.start for axis in inside])
    places = window_places(padded, replace(window, size=size, stride=size))
    beliefs: list[Tensor] = []
    features: list[Tensor] = []
    at_once = windows_at_once(size, device)
    for first in range(0, len(places), at_once):
        group = places[first : first + at_once]
        seen = represent(torch.stack([padded[place][None] for place in group]))
        for index, (place, found) in enumerate(zip(group, seen.log_probabilities, strict=True)):
            start = torch.tensor([axis.start for axis in place])
            local = voxels + shift - start
            here = ((local >= 0) & (local < torch.tensor(size))).all(1)
            rows = seen.features(_flat(local[here], size, index).to(device)).float().cpu()
            if not beliefs:
                beliefs.append(padded.new_zeros((len(found), *padded.shape)))
                features.append(torch.zeros(len(voxels), rows.shape[1]))
            beliefs[0][:, *place] = found
            features[0][here] = rows
    return beliefs[0][:, *inside], features[0]


def _flat(local: Tensor, size: tuple[int, int, int], index: int) -> Tensor:
    """Places (n, 3) in the window ``index`` of a batch, as indices into its voxels (n,)."""
    depth, height, width = size
    d, h, w = local.unbind(1)
    return ((index * depth + d) * height + h) * width + w
