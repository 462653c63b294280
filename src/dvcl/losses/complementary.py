"""CCL's contrast: confident voxels repel doubtful ones that are surely not of their class."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def complementary_labels(log_probabilities: Tensor, count: int) -> Tensor:
    """The ``count`` least probable classes of every row: what it is not.

    Args:
        log_probabilities: (L, K).
        count: Below K, so that the most probable class is never one of them.

    Returns:
        (L, K) bool.
    """
    order = log_probabilities.detach().argsort(1)
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :count], True)


def pair_masks(labels: Tensor, complementary: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs attract, and which take part in the denominator.

    Rows are H with a label, then L without one in their first view, then the same L in their
    second view. Labelled rows attract their class and meet all others; a row without label
    attracts its other view and meets the labelled rows of its complementary labels.

    Args:
        labels: (H,) int64.
        complementary: (L, K) bool.

    Returns:
        Positives and allowed pairs, both (N, N) bool and symmetric, N = H + 2 L; no row is
        paired with itself.
    """
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = labels.unsqueeze(1) == labels
    doubtful = 2 * len(complementary)
    itself = torch.eye(doubtful, dtype=torch.bool, device=labels.device)
    views = itself.roll(len(complementary), 0)
    repelled = complementary[:, labels].repeat(2, 1)
    apart = torch.zeros_like(repelled)
    return _blocks(same & others, apart, views), _blocks(others, repelled, views)


def _blocks(upper: Tensor, side: Tensor, lower: Tensor) -> Tensor:
    return torch.cat([torch.cat([upper, side.T], dim=1), torch.cat([side, lower], dim=1)])


def pair_contrast(
    features: Tensor,
    positives: Tensor,
    allowed: Tensor,
    temperature: float,
    divide_by: Literal["positives", "rows"] = "positives",
) -> Tensor:
    """Supervised contrast over given pairs, mean over the rows that have a positive.

    -(sum over positives j of [s_ij - log sum over allowed k of e^s_ik]) / positives of i, with
    s = f . f' / temperature (Khosla et al., NeurIPS 2020, https://arxiv.org/abs/2004.11362).

    Args:
        features: (N, d), unit length, with gradient.
        positives: (N, N) bool.
        allowed: (N, N) bool, the positives included.
        temperature: tau.
        divide_by: "positives" of each row, or all "rows" N.

    Returns:
        Scalar; 0 when no row has a positive.
    """
    some = positives.any(1).nonzero().squeeze(1)
    if not len(some):
        return features.sum() * 0
    positives, allowed = positives[some], allowed[some]
    similarity = features[some] @ features.T / temperature
    normaliser = similarity.masked_fill(~allowed, -torch.inf).logsumexp(1, keepdim=True)
    attracted = ((similarity - normaliser) * positives).sum(1)
    count = positives.sum(1) if divide_by == "positives" else len(features)
    return -(attracted / count).mean()
