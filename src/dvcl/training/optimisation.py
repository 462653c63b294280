"""Optimisers and their schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from dvcl.errors import InputError
from dvcl.methods import Method

# Of discriminators in UA-MT's family (SASSNet, SSL4MIS).
ADAM_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class Training:
    """The schedule, the same for every method (DVCL, appendix D).

    Attributes:
        iterations: Optimiser steps; ramps and learning rate reach their end with them.
        rate: Initial learning rate.
        power: Of the polynomial decay rate * (1 - t / T) ** power.
        warmup: Iterations over which the rate rises linearly to its course; 0, as in the paper, for
            none. In a short run full steps from the first one drive the network into predicting
            nothing but background, which takes it hundreds of steps to leave.
        momentum: Of stochastic gradient descent.
        weight_decay: L2 penalty.
        validate_every: Iterations between validations, checkpoints and diagnostics.
        precision: "bf16" runs the networks in bfloat16 (losses stay float32), "float32" does not.
    """

    iterations: int = 20_000
    rate: float = 0.1
    power: float = 0.9
    warmup: int = 0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    validate_every: int = 500
    precision: Literal["bf16", "float32"] = "bf16"

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.validate_every < 1 or not self.rate > 0:
            raise InputError(
                "training: iterations, validate_every and rate must be positive; found "
                f"{self.iterations}, {self.validate_every}, {self.rate}."
            )
        if not 0 <= self.momentum < 1 or min(self.weight_decay, self.power, self.warmup) < 0:
            raise InputError(
                "training: momentum in [0, 1), weight_decay, power and warmup of at least 0 "
                f"expected; found {self.momentum}, {self.weight_decay}, {self.power}, "
                f"{self.warmup}."
            )
        if self.precision not in ("bf16", "float32"):
            raise InputError(
                f"training.precision: {self.precision!r} found, bf16 or float32 expected."
            )

    @property
    def autocast(self) -> torch.dtype | None:
        """Type in which networks run, None for float32."""
        return torch.bfloat16 if self.precision == "bf16" else None


def build_optimisers(method: Method, settings: Training) -> dict[str, Optimizer]:
    """One optimiser per parameter group: SGD, or Adam where the method gives a constant rate."""
    optimisers: dict[str, Optimizer] = {}
    for name, parameters in method.parameter_groups().items():
        if name in method.adam_rates:
            optimisers[name] = Adam(parameters, lr=method.adam_rates[name], betas=ADAM_BETAS)
        else:
            optimisers[name] = SGD(
                parameters,
                lr=settings.rate,
                momentum=settings.momentum,
                weight_decay=settings.weight_decay,
            )
    return optimisers


def decayed_rate(settings: Training, iteration: int) -> float:
    """Learning rate of one iteration (from 0): polynomial decay after a linear warm-up."""
    decay = (1 - iteration / settings.iterations) ** settings.power
    warm = min(1.0, (iteration + 1) / settings.warmup) if settings.warmup else 1.0
    return settings.rate * decay * warm


def gradient_norms(
    terms: dict[str, Tensor],
    parameters: list[nn.Parameter],
    average: Callable[[list[Tensor]], None] = lambda _: None,
) -> dict[str, float]:
    """Euclidean norm of each term's own gradient; leaves the graph and ``.grad`` as they are.

    Args:
        terms: Scalars.
        parameters: For which the gradients are.
        average: Called with each term's gradients, to put those of all processes in their place.
    """
    norms = {}
    for name, term in terms.items():
        if not term.requires_grad:
            norms[name] = 0.0
            continue
        found = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        gradients = [gradient for gradient in found if gradient is not None]
        average(gradients)
        squares = [gradient.float().square().sum() for gradient in gradients]
        norms[name] = torch.stack(squares).sum().sqrt().item() if squares else 0.0
    return norms
