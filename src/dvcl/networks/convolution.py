"""A 3-D convolution that is right in bfloat16 on every processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Slices of the maps for which the processor's bfloat16 kernel is wrong.
BROKEN_DEPTH = 2


class Convolution(nn.Conv3d):
    """``nn.Conv3d``, in float32 where torch's bfloat16 gradient is wrong on a CPU.

    For maps of two slices, kernel 3, padding 1 and at least 16 channels, torch 2.13 on x86 returns
    a weight gradient that is unrelated to the true one, sometimes NaN. Such maps are the bottleneck
    of small patches and hold few voxels, so float32 costs nothing.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Convolve (B, C, D, H, W)."""
        if input.device.type != "cpu" or input.shape[2] != BROKEN_DEPTH:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.to(self.weight.dtype))
