"""Learning from as many voxels of every class: the auxiliary balanced classifier's loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def keep_rates(counts: Tensor) -> Tensor:
    """Share of each class's voxels to keep, so that all classes keep as many as the rarest.

    Args:
        counts: (K,) voxels per class, of which one at least is positive.

    Returns:
        (K,) float32 in (0, 1]; 1 for a class that has no voxels.
    """
    rarest = counts.where(counts > 0, counts.max()).min()
    return rarest / counts.clamp(min=rarest)


def draw_kept(labels: Tensor, rates: Tensor, random: torch.Generator) -> Tensor:
    """Keep every voxel with the rate of its class; a mask of the shape of ``labels``."""
    drawn = torch.rand(labels.shape, generator=random, device=labels.device)
    return drawn < rates[labels]


def balanced_cross_entropy(
    log_probabilities: Tensor, labels: Tensor, kept: Tensor, trusted: Tensor | None = None
) -> Tensor:
    """Cross-entropy over the voxels that are kept and trusted, divided by those that are kept.

    Lee et al., NeurIPS 2021, https://arxiv.org/abs/2110.10368, who divide by all samples. Of
    voxels one in a thousand is kept, and the classifier would hardly learn; divided by the kept
    ones, it is the mean loss of a balanced sample. 0 when nothing is kept.

    Args:
        log_probabilities: (B, K, D, H, W).
        labels: (B, D, H, W) int64.
        kept: (B, D, H, W) bool, the balanced sample.
        trusted: (B, D, H, W) bool, where the labels are believed; None for everywhere.
    """
    taught = kept if trusted is None else kept & trusted
    losses = F.nll_loss(log_probabilities, labels, reduction="none")
    return (losses * taught).sum() / kept.sum().clamp(min=1)
