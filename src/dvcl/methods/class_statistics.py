"""What CLD and DHC know about each class, kept from step to step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dvcl.losses.class_sums import counts_per_class, of_own_class, sums_per_class
from dvcl.losses.class_weights import difficulty_weights, distribution_weights, hard_dice


class ConfidenceBank(nn.Module):
    """A network's average probability of the true class, for each class.

    The mean over a window of steps enters a moving average; a class's first mean is taken whole.

    Args:
        classes: K.
        window: Steps per update.
        momentum: Of the moving average, per update.
    """

    confidence: Tensor
    known: Tensor
    sums: Tensor
    counts: Tensor
    steps: Tensor

    def __init__(self, classes: int, window: int, momentum: float) -> None:
        super().__init__()
        self.window, self.momentum = window, momentum
        self.register_buffer("confidence", torch.zeros(classes))
        self.register_buffer("known", torch.zeros(classes, dtype=torch.bool))
        self.register_buffer("sums", torch.zeros(classes))
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def record(self, probabilities: Tensor, labels: Tensor) -> None:
        """Take in the labelled patches of a step, (B, K, D, H, W) and (B, D, H, W)."""
        own = of_own_class(probabilities, labels)
        self.sums += sums_per_class(own, labels, len(self.sums))
        self.counts += counts_per_class(labels, len(self.counts))
        self.steps += 1
        if int(self.steps) % self.window:
            return
        seen = self.counts > 0
        momentum = torch.where(self.known, self.momentum, 0.0)
        found = self.sums / self.counts.clamp_min(1)
        moved = momentum * self.confidence + (1 - momentum) * found
        self.confidence.copy_(torch.where(seen, moved, self.confidence))
        self.known |= seen
        self.sums.zero_()
        self.counts.zero_()

    def sampling_rates(self, power: float) -> Tensor:
        """(K,) shares of voxels to learn from: 1 for the least confident class."""
        doubt = 1 - self.confidence
        return (doubt / doubt.max().clamp_min(1e-12)) ** power


class DistributionWeights(nn.Module):
    """Class weights from the frequencies of pseudo-labels, a moving average of the weights.

    The first labelled patches give its start.

    Args:
        classes: K.
        momentum: Of the moving average, per step.
        smallest: Counts are raised to it.
    """

    weights: Tensor
    started: Tensor

    def __init__(self, classes: int, momentum: float, smallest: float) -> None:
        super().__init__()
        self.momentum, self.smallest = momentum, smallest
        self.register_buffer("weights", torch.zeros(classes))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def update(self, labels: Tensor, pseudo_labels: Tensor) -> Tensor:
        """(K,) weights after a step with these labels and pseudo-labels, int64 of any shape."""
        if not self.started:
            self.weights.copy_(self._of(labels))
            self.started.fill_(True)
        return self.weights.lerp_(self._of(pseudo_labels), 1 - self.momentum).clone()

    def _of(self, labels: Tensor) -> Tensor:
        counts = counts_per_class(labels, len(self.weights))
        return distribution_weights(counts, self.smallest)


class DifficultyWeights(nn.Module):
    """Class weights from how the Dice of labelled patches rises, falls and stands.

    Args:
        classes: K.
        steps: Over which the moving averages reach.
        power: Of the ratio of unlearning to learning.
    """

    dice: Tensor
    learning: Tensor
    unlearning: Tensor
    hardness: Tensor

    def __init__(self, classes: int, steps: int, power: float) -> None:
        super().__init__()
        self.steps, self.power = steps, power
        self.register_buffer("dice", torch.full((classes,), 1e-8))
        self.register_buffer("learning", torch.zeros(classes))
        self.register_buffer("unlearning", torch.zeros(classes))
        self.register_buffer("hardness", torch.ones(classes))

    @torch.no_grad()
    def update(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """(K,) weights after a step with this prediction and these labels, (B, D, H, W) int64."""
        dice = hard_dice(predicted, labels, len(self.dice))
        change, growth = dice - self.dice, (dice / self.dice).log()
        self.dice.copy_(dice)
        self.learning.lerp_(change.clamp_min(0) * growth, 1 / self.steps)
        self.unlearning.lerp_(change.clamp_max(0) * growth, 1 / self.steps)
        self.hardness.lerp_(1 - dice, 1 / self.steps)
        return difficulty_weights(self.learning, self.unlearning, self.hardness, self.power)
