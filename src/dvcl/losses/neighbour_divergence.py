"""What a voxel's class probabilities say of its neighbours': Kullback-Leibler and NCCL."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST = 1e-12  # keeps logarithms finite where a softmax has underflown
PRESENT = 1e-3


def kl_contrast(
    probabilities: Tensor, neighbours: Tensor, outsiders: Tensor, dispersion: float = 1.0
) -> Tensor:
    """mean_n KL(p_m || p_n) - dispersion * mean_k min(KL(p_m || p_k), ln C) (DVCL, Table 8).

    DVCL's appendix prints both signs the other way round, which would push neighbours apart, and
    applies it to features, which are no distributions. Without the cap the second term has no
    bound; an outsider at the cap gives no gradient. The appendix names no value of lambda, here
    ``dispersion``.

    Args:
        probabilities: (Q, C) of the queries, with gradient.
        neighbours: (Q, K, C), detached.
        outsiders: (Q, K', C), detached.
        dispersion: Weight of the outsiders.

    Returns:
        (Q,) losses.
    """
    attraction = _divergence(probabilities, neighbours)
    repulsion = _divergence(probabilities, outsiders).clamp(max=math.log(probabilities.shape[1]))
    return attraction.mean(1) - dispersion * repulsion.mean(1)


def neighbour_consistency(
    probabilities: Tensor, neighbourhood: Tensor, temperature: float
) -> Tensor:
    """Our reading of NCCL (Wu et al., TIP 2023), of which no code and no formula was found.

    Its abstract names two terms. Consistency: cross-entropy of every voxel with the mean
    probabilities of its neighbours. Category-level contrast, after the assignment loss of graph
    contrastive clustering (Zhong et al., ICCV 2021): the unit column of a class over all voxels
    should resemble its own column over their neighbourhoods more than other classes' columns.
    Classes with less than a thousandth of the voxels' mass take no part in the second.

    Args:
        probabilities: (Q, C) of the queries, Q at least 1, with gradient.
        neighbourhood: (Q, C), mean probabilities of each query's neighbours, detached.
        temperature: Of the comparison of columns.

    Returns:
        The sum of both, each a mean.
    """
    consistency = -(neighbourhood * _log(probabilities)).sum(1).mean()
    present = (probabilities.detach().mean(0) > PRESENT).nonzero().squeeze(1)
    columns, others = (F.normalize(p[:, present], dim=0) for p in (probabilities, neighbourhood))
    itself = torch.arange(len(present), device=present.device)
    return consistency + F.cross_entropy(columns.T @ others / temperature, itself)


def _divergence(probabilities: Tensor, others: Tensor) -> Tensor:
    """KL(p_m || q) of (Q, C) and (Q, K, C), as (Q, K)."""
    negative_entropy = (probabilities * _log(probabilities)).sum(1, keepdim=True)
    return negative_entropy - torch.einsum("qc,qkc->qk", probabilities, _log(others))


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=SMALLEST).log()
