"""Optimisers and their schedule."""

from __future__ import annotations

import math
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
        nesterov: Whether the momentum looks ahead (Sutskever et al., ICML 2013).
        weight_decay: L2 penalty.
        clip: Gradients that are longer than this, all weights together, are shortened to it; 0 for
            no limit. It lets a run take a higher rate from its first step on.
        average: Decay of a moving average of the weights, which is validated and predicts in the
            place of the weights themselves; 0 for none.
        unlabelled_from: Share of the run in which methods learn from labelled patches alone; their
            other terms, with their ramps, then take the rest of it. 0 for none, as in the papers.
        unlabelled_every: Of the steps after that, every n-th learns from unlabelled patches too.
        validate_every: Iterations between validations, checkpoints and diagnostics.
        precision: "bf16" runs the networks in bfloat16 (losses stay float32), "float32" does not;
            "auto" takes what this machine is faster with, measured when a run begins.
        compile: Networks run as torch.compile makes them, where that works and is faster. It takes
            a minute or more at every start, and changes rounding alone.
    """

    iterations: int = 20_000
    rate: float = 0.1
    power: float = 0.9
    warmup: int = 0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    clip: float = 0.0
    average: float = 0.0
    unlabelled_from: float = 0.0
    unlabelled_every: int = 1
    validate_every: int = 500
    precision: Literal["auto", "bf16", "float32"] = "bf16"
    compile: bool = False

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.validate_every < 1 or not self.rate > 0:
            raise InputError(
                "training: iterations, validate_every and rate must be positive; found "
                f"{self.iterations}, {self.validate_every}, {self.rate}."
            )
        least_zero = {
            name: getattr(self, name) for name in ("weight_decay", "power", "warmup", "clip")
        }
        below_one = {
            name: getattr(self, name) for name in ("momentum", "average", "unlabelled_from")
        }
        problems = [
            f"training.{name}: {value} found, a number of at least 0 expected."
            for name, value in least_zero.items()
            if not 0 <= value < math.inf
        ]
        problems += [
            f"training.{name}: {value} found, a number in [0, 1) expected."
            for name, value in below_one.items()
            if not 0 <= value < 1
        ]
        if self.nesterov and self.momentum == 0:
            problems.append("training.nesterov: true found with momentum 0, which it needs.")
        if self.unlabelled_every < 1:
            problems.append(
                f"training.unlabelled_every: {self.unlabelled_every} found, at least 1 expected."
            )
        if self.precision not in ("auto", "bf16", "float32"):
            problems.append(
                f"training.precision: {self.precision!r} found, auto, bf16 or float32 expected."
            )
        if problems:
            raise InputError(problems)

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
                nesterov=settings.nesterov,
                weight_decay=settings.weight_decay,
                foreach=True,
            )
    return optimisers


def learns_unlabelled(settings: Training, iteration: int) -> bool:
    """Whether a method learns from unlabelled patches in one iteration (from 0)."""
    since = iteration - math.ceil(settings.unlabelled_from * settings.iterations)
    return since >= 0 and since % settings.unlabelled_every == 0


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
