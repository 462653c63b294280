"""The two contrastive losses of DVCL: high-quality (Eq. 11) and distance-aware (Eq. 16)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def prototype_contrast(
    anchors: Tensor, centre: Tensor, negatives: Tensor, drawn: Tensor, temperature: float
) -> Tensor:
    """Eq. 11 for one class: InfoNCE of anchors against their centre and drawn negatives.

    Args:
        anchors: (M, d), with gradient.
        centre: (d,), the positive candidate P_c of Eq. 9.
        negatives: (G, d), voxels wrongly predicted as this class (Eq. 10).
        drawn: (M, N) int64, which negatives each anchor is compared with.
        temperature: tau; similarities are cosines.

    Returns:
        (M,) losses. With tau 1 and N = 50 they lie in [2.05, 5.91].
    """
    anchors = F.normalize(anchors, dim=1)
    positive = anchors @ F.normalize(centre, dim=0) / temperature
    similarity = anchors @ F.normalize(negatives, dim=1).T / temperature
    logits = torch.cat([positive.unsqueeze(1), similarity.gather(1, drawn)], dim=1)
    return logits.logsumexp(1) - positive


def distance_aware(
    probabilities: Tensor, neighbours: Tensor, outsiders: Tensor, reduction: str = "sum"
) -> Tensor:
    """Eq. 16 without its constant: agree with the neighbours, disagree with the outsiders.

    -sum_n p_m . p_n + sum_k p_m . p_k. The dropped part (K - K') (log |U_R| + 1) has no gradient;
    `bound_constant` gives it. It sends no gradient to features: they only choose the sets.

    Args:
        probabilities: (Q, C) of the queries, with gradient.
        neighbours: (Q, K, C), detached.
        outsiders: (Q, K', C), detached.
        reduction: "sum" as printed, in [-K, K']; "mean" divides each sum by its count, in [-1, 1].

    Returns:
        (Q,) losses.
    """
    attraction = torch.einsum("qc,qkc->qk", probabilities, neighbours)
    repulsion = torch.einsum("qc,qkc->qk", probabilities, outsiders)
    if reduction == "mean":
        return repulsion.mean(1) - attraction.mean(1)
    return repulsion.sum(1) - attraction.sum(1)


def bound_constant(neighbours: int, outsiders: int, voxels: int) -> float:
    """(K - K') (log |U_R| + 1), the constant that turns `distance_aware` into Eq. 16's psi-bar.

    For K < K' psi-bar is a lower, not an upper, bound of psi; see docs/methods.md.
    """
    return (neighbours - outsiders) * (math.log(voxels) + 1)
