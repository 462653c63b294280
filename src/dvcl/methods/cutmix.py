"""CutMix: a box of every patch is replaced by its neighbour's."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_boxes(count: int, shape: torch.Size, random: torch.Generator) -> Tensor:
    """Random boxes of half the volume, up to rounding.

    Their sides are 2 ** -a, 2 ** -b and 2 ** -c of the patch's, with (a, b, c) uniform among all
    that sum to 1: at least half of each side, in any proportion.

    Args:
        count: B.
        shape: (D, H, W).
        random: On the device of the result.

    Returns:
        (B, D, H, W) bool, true inside.
    """
    cuts = torch.rand(count, 2, generator=random, device=random.device).sort(1).values
    ends = cuts.new_tensor([0.0, 1.0]).expand(count, 2)
    exponents = torch.cat([ends[:, :1], cuts, ends[:, 1:]], dim=1).diff()
    sizes = cuts.new_tensor(shape)
    sides = (sizes * 0.5**exponents).round().clamp_min(1).minimum(sizes)
    return place_boxes(sides, shape, random)


def place_boxes(sides: Tensor, shape: torch.Size, random: torch.Generator) -> Tensor:
    """Boxes anywhere within their patches.

    Args:
        sides: (B, 3) whole numbers, 1 to those of ``shape``.
        shape: (D, H, W).
        random: On the device of ``sides``.

    Returns:
        (B, D, H, W) bool, true inside.
    """
    count, device = len(sides), sides.device
    places = torch.rand(count, 3, generator=random, device=device)
    boxes = torch.ones(count, 1, 1, 1, dtype=torch.bool, device=device)
    for axis, size in enumerate(shape):
        starts = (places[:, axis] * (size - sides[:, axis] + 1)).floor()
        line = torch.arange(size, device=device)
        inside = (line >= starts.unsqueeze(1)) & (line < (starts + sides[:, axis]).unsqueeze(1))
        boxes = boxes & inside.view(count, *(size if other == axis else 1 for other in range(3)))
    return boxes


def cut_mix(maps: Tensor, boxes: Tensor) -> Tensor:
    """Inside its box each patch shows the next one of the batch; a single patch stays as it is.

    Args:
        maps: (B, D, H, W) or (B, C, D, H, W).
        boxes: (B, D, H, W) bool.
    """
    boxes = boxes if maps.dim() == boxes.dim() else boxes.unsqueeze(1)
    return torch.where(boxes, maps.roll(-1, 0), maps)
