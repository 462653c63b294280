"""Instance normalisation that keeps a processor's fast memory layout."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dvcl.networks.channels_last import LAYOUT, keeps_layout

EPSILON = 1e-5


class InstanceNorm(nn.Module):
    """Zero mean and unit variance of every channel of every sample; no weights, no memory.

    torch's own layer copies channels-last maps to and fro, which costs a quarter of a training
    step on a CPU and drives the convolutions back to their slower layout. Batch normalisation of
    one sample at a time is the same arithmetic without the copies (benchmarks/normalisation.py).
    Other devices and exported programs use torch's layer.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (B, C, D, H, W) over D, H, W."""
        if not keeps_layout(maps):
            return F.instance_norm(maps)
        normalised: Tensor = _InstanceNorm.apply(maps)  # type: ignore[no-untyped-call]
        return normalised


class _InstanceNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        maps = maps.contiguous(memory_format=LAYOUT)
        weights = _neutral_weights(maps)
        normalised = torch.empty_like(maps)
        means = weights.new_empty(maps.shape[:2])
        scales = torch.empty_like(means)
        places = zip(maps.split(1), normalised.split(1), means, scales, strict=True)
        for sample, out, mean, scale in places:
            torch.ops.aten.native_batch_norm.out(
                sample, weights, torch.zeros_like(weights), None, None, True, 0.0, EPSILON,
                out=out, save_mean=mean, save_invstd=scale,
            )  # fmt: skip
        ctx.save_for_backward(maps, means, scales)
        return normalised

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        maps, *statistics = ctx.saved_tensors
        gradient, weights = gradient.contiguous(memory_format=LAYOUT), _neutral_weights(maps)
        samples = zip(gradient.split(1), maps.split(1), *statistics, strict=True)
        return torch.cat(
            [
                torch.ops.aten.native_batch_norm_backward(
                    part, sample, weights, None, None, mean, scale, True, EPSILON,
                    (True, False, False),
                )[0]
                for part, sample, mean, scale in samples
            ]
        )  # fmt: skip


def _neutral_weights(maps: Tensor) -> Tensor:
    """They change nothing, but keep the statistics of bfloat16 maps in float32."""
    kind = torch.float32 if maps.dtype == torch.bfloat16 else maps.dtype
    return torch.ones(maps.shape[1], dtype=kind, device=maps.device)
