"""Heads on the decoder's feature map, applied to sampled voxels only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class FeatureHead(nn.Sequential):
    """The per-voxel feature MLP of DVCL: linear, ReLU, linear.

    It has no normalisation, so applying it to gathered voxels gives exactly what a full-resolution
    map would hold there, at a small part of the time and memory.

    Args:
        inputs: Channels F of the decoder's feature map.
        dimension: Length of a voxel's feature vector.
    """

    def __init__(self, inputs: int, dimension: int = 256) -> None:
        super().__init__(nn.Linear(inputs, dimension), nn.ReLU(), nn.Linear(dimension, dimension))


class VoxelTap:
    """Gathers rows of a dense map like `gather_voxels`, with a gradient that stays small.

    The gradient of gathered rows is a dense map, nearly all zeros. Of a map gathered directly it is
    made as soon as the rows' gradient is known, and waits until every later network is through its
    backward pass. Of a tapped map it is made when the network below the tap has its turn.

    Args:
        maps: (B, F, D, H, W); tap it before the next network runs, whose backward pass goes first.
    """

    def __init__(self, maps: Tensor) -> None:
        self._maps = maps.detach()
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._anchor = _Scatter.apply(maps, self._waiting)  # type: ignore[no-untyped-call]

    def rows(self, voxels: Tensor) -> Tensor:
        """(N, F) float32 at ``voxels`` (N,) int64, to which gradients flow."""
        rows: Tensor = _Gather.apply(  # type: ignore[no-untyped-call]
            self._anchor, self._maps, voxels, self._waiting
        )
        return rows


class _Scatter(torch.autograd.Function):
    """Turns the rows' gradients that wait for it into the gradient of the map."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, waiting: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.save_for_backward(maps)
        ctx.waiting = waiting
        return maps.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:
        gradient = torch.zeros_like(*ctx.saved_tensors)
        channels_last = gradient.movedim(1, -1)
        while ctx.waiting:
            voxels, rows = ctx.waiting.pop()
            places = unravel(voxels, channels_last.shape[:-1])
            channels_last.index_put_(places, rows.to(gradient.dtype), accumulate=True)
        return gradient, None


class _Gather(torch.autograd.Function):
    """Depends on the map through the anchor of its `_Scatter` alone, which autograd runs later."""

    @staticmethod
    def forward(
        ctx: Any,
        anchor: Tensor,
        maps: Tensor,
        voxels: Tensor,
        waiting: list[tuple[Tensor, Tensor]],
    ) -> Tensor:
        ctx.save_for_backward(voxels)
        ctx.waiting = waiting
        return gather_voxels(maps, voxels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        ctx.waiting.append((*ctx.saved_tensors, gradient))
        return gradient.new_zeros(()), None, None, None


def gather_voxels(maps: Tensor, voxels: Tensor) -> Tensor:
    """Rows of a dense map at some voxels.

    Args:
        maps: (B, F, D, H, W).
        voxels: (N,) int64 indices into the B * D * H * W voxels of the batch.

    Returns:
        (N, F) float32, whatever the precision of ``maps``, to which gradients flow.
    """
    rows = maps.movedim(1, -1)
    if rows.is_contiguous():
        # Channels last: a gradient in the same layout, which the layers below then keep.
        return rows.flatten(0, -2).index_select(0, voxels).float()
    flat = maps.flatten(2)
    size = flat.shape[2]
    return flat[voxels // size, :, voxels % size].float()


def unravel(voxels: Tensor, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Places (N,) along every axis of ``shape`` of indices (N,) into all of it.

    As ``torch.unravel_index``, which copies the shape to the device and has the host wait for it.
    """
    places: list[Tensor] = []
    for side in reversed(shape):
        places.append(voxels % side)
        voxels = voxels // side
    return tuple(reversed(places))
