"""A moving average of the weights that predicts in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Moving average of all trained weights (Polyak and Juditsky, SIAM J. Control Optim. 1992).

    In step t the decay is min(t / (t + 1), decay), so that the first steps, which change much, are
    soon forgotten, as in `methods.teacher.Teacher`. Buffers stay those of the method.

    Args:
        method: Whose weights are averaged, as they are now.
        decay: In [0, 1); with 0 nothing is averaged, and nothing is kept.

    Attributes:
        means: Of the weights, in the order of the method's parameters.
    """

    def __init__(self, method: nn.Module, decay: float) -> None:
        self.decay = decay
        weights = method.parameters() if decay else ()
        self.weights: list[Tensor] = [weight for weight in weights if weight.requires_grad]
        self.means = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def follow(self, done: int) -> None:
        """Move towards the weights; called after every optimiser step, ``done`` counts them."""
        if self.means:
            torch._foreach_lerp_(self.means, self.weights, 1 - min(1 - 1 / done, self.decay))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the method's weights are the averages."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def settle(self) -> None:
        """Put the averages into the method for good."""
        for weight, mean in zip(self.weights, self.means, strict=True):
            weight.copy_(mean)

    @torch.no_grad()
    def _exchange(self) -> None:
        for weight, mean in zip(self.weights, self.means, strict=True):
            held = weight.clone()
            weight.copy_(mean)
            mean.copy_(held)
