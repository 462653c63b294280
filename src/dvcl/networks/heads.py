"""Heads on the decoder's feature map, applied to sampled voxels only."""

from __future__ import annotations

from torch import Tensor, nn


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
