"""A 3-D convolution that is right in bfloat16 on every processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Most slices of maps for which the processor's bfloat16 kernel is wrong.
BROKEN_DEPTH = 2


class Convolution(nn.Conv3d):
    """``nn.Conv3d``, in float32 where torch's bfloat16 kernel is wrong on a CPU.

    With torch 2.13 on x86, results are unrelated to the true ones, sometimes NaN: the weight
    gradient for maps of two slices, kernel 3, padding 1 and at least 16 channels; the maps
    themselves for one slice and few channels, and where a stride above 1 leaves a width of 1; on
    one thread of an AMD EPYC the weight gradient where it leaves a height of 1. Such maps are the
    coarsest of small patches and hold few voxels, so float32 costs nothing.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Convolve (B, C, D, H, W)."""
        if input.device.type != "cpu" or not self._is_broken(input):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.to(self.weight.dtype))

    def _is_broken(self, maps: Tensor) -> bool:
        return maps.shape[2] <= BROKEN_DEPTH or any(
            self._leaves_one(maps, axis) for axis in range(3)
        )

    def _leaves_one(self, maps: Tensor, axis: int) -> bool:
        """Whether a stride leaves one voxel on an axis (D, H or W)."""
        stride, kernel = self.stride[axis], self.kernel_size[axis]
        padded = maps.shape[2 + axis] + 2 * int(self.padding[axis])
        return stride > 1 and padded - kernel < stride
