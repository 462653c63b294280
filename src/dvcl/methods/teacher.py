"""A teacher whose weights are the moving average of its student's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Teacher(nn.Module):
    """A frozen copy of a network that follows it (Tarvainen and Valpola, NeurIPS 2017).

    https://arxiv.org/abs/1703.01780. In step t the decay is min(1 - 1 / (t + 1), decay), so that
    the first steps, which change much, are forgotten soon; in step 0 the student is copied. Buffers
    are copied, not averaged.

    Args:
        student: Copied as it is now.
        decay: Of the average, reached after 1 / (1 - decay) steps.
    """

    steps: Tensor

    def __init__(self, student: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @contextmanager
    def without_dropout(self) -> Iterator[nn.Module]:
        """The network in evaluation mode, for labels that should not depend on a draw."""
        was = self.training
        self.eval()
        try:
            yield self.network
        finally:
            self.train(was)

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Move towards the student; called once after every optimiser step."""
        decay = min(1 - 1 / (int(self.steps) + 1), self.decay)
        for mine, theirs in zip(self.network.parameters(), student.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for copied, buffer in zip(self.network.buffers(), student.buffers(), strict=True):
            copied.copy_(buffer)
        self.steps.add_(1)
