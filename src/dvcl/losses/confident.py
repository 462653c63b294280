"""Pseudo-labels that are kept only where the network is confident (FixMatch)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Confident(NamedTuple):
    """Hard labels of a weak view, without gradient.

    Attributes:
        labels: (U, D, H, W) int64, the most probable class.
        mask: (U, D, H, W) bool, whether its probability reaches the cut-off.
    """

    labels: Tensor
    mask: Tensor


@torch.no_grad()
def confident_labels(log_probabilities: Tensor, cutoff: float) -> Confident:
    """Hard labels and where to believe them (Sohn et al., NeurIPS 2020).

    Args:
        log_probabilities: (U, K, D, H, W) of the weak view.
        cutoff: Smallest probability that is believed.
    """
    best = log_probabilities.max(1)
    return Confident(best.indices, best.values.exp() >= cutoff)
