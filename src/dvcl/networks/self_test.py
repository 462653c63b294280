"""Whether a device convolves rightly, and how fast: the networks' layers against float64."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dvcl.networks.channels_last import LAYOUT
from dvcl.networks.convolution import Convolution

CHANNELS = 16

# One of each kind that networks have, and the side lengths of the maps that it is given. Kernels
# for maps of few slices and for steps of two voxels are others than the usual ones.
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "kernel 3": (lambda: Convolution(CHANNELS, CHANNELS, 3, padding=1), (8, 24, 24)),
    "kernel 3, two slices": (lambda: Convolution(CHANNELS, CHANNELS, 3, padding=1), (2, 8, 8)),
    "kernel 1": (lambda: nn.Conv3d(CHANNELS, 14, 1), (8, 16, 16)),
    "stride 2": (lambda: nn.Conv3d(CHANNELS, 2 * CHANNELS, 2, stride=2), (8, 16, 16)),
    "transposed": (lambda: nn.ConvTranspose3d(CHANNELS, CHANNELS, 2, stride=2), (4, 8, 8)),
}

# Largest relative error that rounding alone explains: a GPU may take float32 to 10 bits in between.
BOUNDS = {torch.float32: 2e-3, torch.bfloat16: 2e-2}
NAMES = {torch.float32: "float32", torch.bfloat16: "bf16"}

TIMED_SIDE, TIMED_CHANNELS = 32, 32


@dataclass(frozen=True)
class SelfTest:
    """How a device convolves in one precision.

    Attributes:
        precision: "float32" or "bf16".
        errors: Of each layer, relative, the largest of result and gradients; NaN where these are
            not finite.
        bound: What rounding explains.
        gflops: Billions of operations a second, forward and backward.
    """

    precision: str
    errors: dict[str, float]
    bound: float
    gflops: float

    @property
    def wrong(self) -> list[str]:
        """Layers whose results are not those of float64."""
        return [name for name, error in self.errors.items() if not error <= self.bound]


def convolve_and_compare(device: torch.device, kind: torch.dtype, seconds: float = 1.0) -> SelfTest:
    """Run every kind of layer once against float64, then the usual one for some time.

    Args:
        device: Where to convolve; the reference is computed on the processor.
        kind: A key of `BOUNDS`, the autocast type.
        seconds: For the measurement of speed.
    """
    random = torch.Generator().manual_seed(0)
    errors = {
        name: _relative_error(make(), sides, device, kind, random)
        for name, (make, sides) in LAYERS.items()
    }
    return SelfTest(NAMES[kind], errors, BOUNDS[kind], _gflops(device, kind, seconds))


def _relative_error(
    layer: nn.Module,
    sides: tuple[int, int, int],
    device: torch.device,
    kind: torch.dtype,
    random: torch.Generator,
) -> float:
    for weight in layer.parameters():
        nn.init.normal_(weight, generator=random)
    maps = torch.randn((2, CHANNELS, *sides), generator=random, dtype=torch.float64)
    exact = _results(copy.deepcopy(layer).double(), maps, None)
    found = _results(layer.to(device), maps.to(device, torch.float32), kind)
    errors = [
        float((there.cpu().double() - here).norm() / here.norm())
        for there, here in zip(found, exact, strict=True)
    ]
    # NaN is larger than nothing: max() would lose it.
    return max(errors) if all(error == error for error in errors) else float("nan")


def _results(layer: nn.Module, maps: Tensor, kind: torch.dtype | None) -> list[Tensor]:
    """The layer's maps and all gradients of the sum of their squares."""
    maps = maps.contiguous(memory_format=LAYOUT).requires_grad_()
    with torch.autocast(maps.device.type, kind, enabled=kind not in (None, torch.float32)):
        result = layer(maps)
    weights = list(layer.parameters())
    gradients = torch.autograd.grad(result.to(maps.dtype).square().sum(), [maps, *weights])
    return [result.detach(), *gradients]


def _gflops(device: torch.device, kind: torch.dtype, seconds: float) -> float:
    layer = Convolution(TIMED_CHANNELS, TIMED_CHANNELS, 3, padding=1).to(device)
    maps = torch.ones(1, TIMED_CHANNELS, *(TIMED_SIDE,) * 3, device=device)
    _results(layer, maps, kind)
    rounds, began = 0, time.perf_counter()
    while rounds == 0 or time.perf_counter() - began < seconds:
        # Reading a number waits for the device.
        float(_results(layer, maps, kind)[-1].sum())
        rounds += 1
    # Forward, and the gradients of maps and weights, of two operations each.
    operations = 3 * 2 * 27 * TIMED_CHANNELS**2 * TIMED_SIDE**3
    return rounds * operations / (time.perf_counter() - began) / 1e9
