"""Steps between convolutions that keep maps channels-last, forward and backward.

Convolutions are fastest with the channels of a voxel side by side, on a processor several times.
torch keeps that layout as long as every step does; these are the steps that need help. Pooling and
interpolation keep the type of the maps, too: autocast would take them to float32 and back, though
the one is exact in bfloat16 and the other computes in float32 anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LAYOUT = torch.channels_last_3d


# Whether maps are channels-last; None leaves it to the device: on a processor they are.
_chosen: bool | None = None


@contextmanager
def use_layout(channels_last: bool) -> Iterator[None]:
    """Within the block maps of every device are channels-last, or of none."""
    global _chosen
    before, _chosen = _chosen, channels_last
    try:
        yield
    finally:
        _chosen = before


def keeps_layout(maps: Tensor) -> bool:
    """Whether to take steps that keep the layout: on a processor, or as `use_layout` has it.

    Not where the network is written out as a program (`torch.export`): that is to have torch's own
    steps, which other runtimes know, and batches of any size.
    """
    wanted = maps.device.type == "cpu" if _chosen is None else _chosen
    return wanted and not torch.compiler.is_exporting()


def lay_out(images: Tensor) -> Tensor:
    """The images (B, 1, D, H, W) themselves, such that maps become channels-last where wanted.

    With one channel both layouts are the same in memory; the strides say which one is meant.
    """
    if not keeps_layout(images) or images.shape[1] > 1:
        return images
    *_, depth, height, width = images.shape
    strides = (depth * height * width, 1, height * width, width, 1)
    return images.contiguous().as_strided(images.shape, strides)


def pool(maps: Tensor) -> Tensor:
    """Largest of every two by two by two voxels; (B, C, D, H, W) to half the sides."""
    with torch.autocast(maps.device.type, enabled=False):
        return F.max_pool3d(maps, 2)


def upsample(maps: Tensor) -> Tensor:
    """Trilinear interpolation of (B, C, D, H, W) to twice the sides."""
    with torch.autocast(maps.device.type, enabled=False):
        return F.interpolate(maps, scale_factor=2, mode="trilinear")


def concatenate(skip: Tensor, maps: Tensor) -> Tensor:
    """(B, C + C', D, H, W) from (B, C, D, H, W) and (B, C', D, H, W).

    Where the layout is kept, the gradient of ``maps`` is made contiguous: a slice of the whole
    map's gradient drives `upsample` below into a loop ten times slower.
    """
    if not keeps_layout(maps):
        return torch.cat([skip, maps], dim=1)
    joined: Tensor = _Concatenation.apply(skip, maps)  # type: ignore[no-untyped-call]
    return joined


class _Concatenation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, skip: Tensor, maps: Tensor) -> Tensor:
        ctx.channels = [skip.shape[1], maps.shape[1]]
        return torch.cat([skip, maps], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        skip, maps = gradient.split(ctx.channels, dim=1)
        return skip, maps.contiguous(memory_format=LAYOUT)
