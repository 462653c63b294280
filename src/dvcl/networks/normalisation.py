"""Instance normalisation that keeps a processor's fast memory layout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class InstanceNorm(nn.Module):
    """Zero mean and unit variance of every channel of every sample; no weights, no memory.

    torch's own layer copies channels-last maps to and fro, which costs a quarter of a training
    step on a CPU and drives the convolutions back to their slower layout. Batch normalisation of
    one sample at a time is the same arithmetic without the copies, in 0.84 of the time per step
    (benchmarks/normalisation.py). Other devices use torch's layer.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (B, C, D, H, W) over D, H, W."""
        if maps.device.type != "cpu":
            return F.instance_norm(maps)
        samples = maps.contiguous(memory_format=torch.channels_last_3d).split(1)
        return torch.cat([F.batch_norm(sample, None, None, training=True) for sample in samples])
