"""The supervised loss with a weight per class, as CLD and DHC have it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.losses.class_sums import counts_per_class, of_own_class, sums_per_class

SMOOTH = 1.0


def weighted_cross_entropy(log_probabilities: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Sum over voxels of weight * cross-entropy, divided by the sum of the weights; else 0.

    Args:
        log_probabilities: (B, K, D, H, W).
        labels: (B, D, H, W) int64.
        weights: (K,), at least 0.
    """
    counts = counts_per_class(labels, len(weights))
    total = (weights * counts).sum().clamp_min(torch.finfo(weights.dtype).tiny)
    return F.nll_loss(log_probabilities, labels, weights, reduction="sum") / total


def weighted_dice_loss(probabilities: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Mean over organs of weight * (1 - Dice), sums over the whole batch.

    Dice is (2 sum(p y) + 1) / (sum(p) + sum(y) + 1). The official codes return the mean of
    -weight * Dice, which has the same gradient and falls below 0.

    Args:
        probabilities: (B, K, D, H, W).
        labels: (B, D, H, W) int64.
        weights: (K,); the background's is not used.
    """
    present = counts_per_class(labels, len(weights))
    sizes = probabilities.sum((0, 2, 3, 4)) + present
    shared = sums_per_class(of_own_class(probabilities, labels), labels, len(weights))
    dice = (2 * shared + SMOOTH) / (sizes + SMOOTH)
    return (weights * (1 - dice))[1:].mean()


def weighted_supervised_loss(log_probabilities: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """(Dice + cross-entropy) / 2 with class weights; arguments as `weighted_cross_entropy`.

    Half of the official sum, so that it weighs against the other terms as other methods' does.
    """
    dice = weighted_dice_loss(log_probabilities.exp(), labels, weights)
    return 0.5 * (dice + weighted_cross_entropy(log_probabilities, labels, weights))
