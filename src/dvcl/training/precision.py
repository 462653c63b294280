"""Which precision a machine trains faster in, measured."""

from __future__ import annotations

from functools import cache, partial
from typing import Literal

import torch
from torch import nn

from dvcl.training.kernels import least_seconds, one_thread

Precision = Literal["bf16", "float32"]

# A layer such as those that take most of a step's time: channels, and voxels along each side.
CHANNELS, SIDE = 32, 24
ROUNDS = 5


def faster_precision(device: torch.device) -> Precision:
    """Of bfloat16 and float32 the one in which the device convolves faster.

    A processor with instructions for bfloat16 needs a third of the time, one without takes up to
    half as much again; which one it is, its name does not tell. On CUDA, bfloat16 is taken where
    the hardware has it; on other devices float32.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return _faster_on_processor() if device.type == "cpu" else "float32"


@cache
def _faster_on_processor() -> Precision:
    layers = [partial(_convolve, kind) for kind in (torch.float32, torch.bfloat16)]
    with one_thread():
        for layer in layers:
            layer()  # the first call prepares much
        float32, bf16 = least_seconds(layers, torch.device("cpu"), ROUNDS)
    return "bf16" if bf16 < float32 else "float32"


def _convolve(kind: torch.dtype) -> None:
    """A layer's forward and backward pass; draws no random numbers."""
    maps = torch.ones(1, CHANNELS, SIDE, SIDE, SIDE, dtype=kind)
    maps = maps.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    weights = torch.ones(CHANNELS, CHANNELS, 3, 3, 3, dtype=kind, requires_grad=True)
    nn.functional.conv3d(maps, weights, padding=1).sum().backward()
