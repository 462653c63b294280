"""Which precision a machine trains faster in, measured."""

from __future__ import annotations

import time
from functools import cache
from typing import Literal

import torch
from torch import nn

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
    # In turn, by the processor's clock, and the fastest of several: what else the machine does must
    # not make one run of a seed differ from the next.
    kinds = (torch.float32, torch.bfloat16)
    rounds = [[_seconds(kind) for kind in kinds] for _ in range(1 + ROUNDS)]
    float32, bf16 = (min(found) for found in zip(*rounds[1:], strict=True))
    return "bf16" if bf16 < float32 else "float32"


def _seconds(kind: torch.dtype) -> float:
    """Processor seconds of a layer's forward and backward pass; draws no random numbers."""
    maps = torch.ones(1, CHANNELS, SIDE, SIDE, SIDE, dtype=kind)
    maps = maps.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    weights = torch.ones(CHANNELS, CHANNELS, 3, 3, 3, dtype=kind, requires_grad=True)
    began = time.process_time()
    nn.functional.conv3d(maps, weights, padding=1).sum().backward()
    return time.process_time() - began
