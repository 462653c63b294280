"""Weights that make rare or hard classes count more."""

from __future__ import annotations

import torch
from torch import Tensor

from dvcl.losses.class_sums import counts_per_class

SMOOTH = 1e-8


def rarity_weights(counts: Tensor, power: float) -> Tensor:
    """(largest count / count) ** power, 1 for the most frequent class (CLD).

    Args:
        counts: (K,) voxels of each class. A class without any is as rare as the rarest one seen.
        power: 1/3 in the paper; 0 gives equal weights.
    """
    seen = counts > 0
    weights = (counts.max() / counts.clamp_min(1)) ** power
    return torch.where(seen, weights, torch.where(seen, weights, 0).max())


def distribution_weights(counts: Tensor, smallest: float = 0.0) -> Tensor:
    """K ln(P) / max ln(P) with P = largest count / count (DHC, by distribution).

    The most frequent class gets 0 and the rarest K. Equal counts, for which the formula is 0 / 0,
    give K to all.

    Args:
        counts: (K,) voxels of each class.
        smallest: Counts are raised to it. Without, one class that has no voxel is 1e8 times as rare
            as a class of one voxel, and presses the weights of all others together.
    """
    counts = counts.float().clamp_min(smallest)
    rarity = ((counts.max() + SMOOTH) / (counts + SMOOTH)).log()
    most = rarity.max()
    return len(counts) * torch.where(most > 0, rarity / most, 1.0)


def difficulty_weights(
    learning: Tensor, unlearning: Tensor, hardness: Tensor, power: float
) -> Tensor:
    """K d / max d with d = (unlearning / learning) ** power * hardness (DHC, by difficulty).

    Args:
        learning: (K,) averages of max(change, 0) * ln(Dice / former Dice), at least 0.
        unlearning: (K,) averages of min(change, 0) * ln(Dice / former Dice), at least 0.
        hardness: (K,) averages of 1 - Dice.
        power: 1/5 in the paper.
    """
    difficulty = ((unlearning + SMOOTH) / (learning + SMOOTH)) ** power * hardness
    return len(difficulty) * difficulty / difficulty.max()


def hard_dice(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(K,) Dice of label maps over the whole batch, as DHC smooths it.

    A class in neither map has 1/2.

    Args:
        predicted: Any shape, int64.
        labels: The same shape.
        classes: K.
    """
    pairs = counts_per_class(labels * classes + predicted, classes**2)
    confusion = pairs.view(classes, classes).float()
    shared, sizes = confusion.diagonal(), confusion.sum(0) + confusion.sum(1)
    return (2 * shared + SMOOTH) / (sizes + 2 * SMOOTH)
