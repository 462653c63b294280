"""BaCon's contrast: towards the centre of one's class, away from reliable negatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.networks.heads import gather_voxels


def balanced_temperatures(
    frequency: Tensor, progress: float, temperature: float = 0.1, spread: float = 0.0005
) -> Tensor:
    """A temperature per class, a little lower for frequent ones early on.

    temperature - (1 - progress)^2 * spread * sqrt(frequency / largest frequency).

    Args:
        frequency: (K,) how often each class is met; any scale.
        progress: Of the training, in [0, 1].
        temperature: Of a class that is never met, and of all at the end.
        spread: What the most frequent class has less at the beginning.
    """
    relative = frequency / frequency.max().clamp(min=torch.finfo(frequency.dtype).tiny)
    return temperature - (1 - progress) ** 2 * spread * relative.sqrt()


@torch.no_grad()
def reliable_negatives(
    labels: Tensor, log_probabilities: Tensor, voxels: Tensor, possible: int
) -> Tensor:
    """Which voxels are surely not of a class: labelled otherwise, or not among the likeliest.

    Args:
        labels: (B, D, H, W) int64.
        log_probabilities: (U, K, D, H, W) of the unlabelled patches.
        voxels: (P,) int64, counted over the labelled patches, then over the unlabelled ones.
        possible: Most probable classes of which an unlabelled voxel may be.

    Returns:
        (K, P) bool.
    """
    known = labels.numel()
    truth = labels.flatten()[voxels.clamp(max=known - 1)].unsqueeze(1)
    rows = gather_voxels(log_probabilities, (voxels - known).clamp(min=0))
    likeliest = rows.topk(possible, dim=1).indices
    may_be = torch.where((voxels < known).unsqueeze(1), truth, likeliest)
    return torch.ones_like(rows, dtype=torch.bool).scatter_(1, may_be, False).T


def centre_contrast(
    anchors: Tensor,
    centres: Tensor,
    negatives: Tensor,
    allowed: Tensor,
    temperatures: Tensor,
    negative_temperature: float = 0.1,
    negative_weight: float = 64.0,
) -> Tensor:
    """-log(e^(a.c / tau) / (e^(a.c / tau) + w mean_n e^(a.n / tau_n))), with cosines.

    Args:
        anchors: (A, d), with gradient.
        centres: (A, d), the centre of each anchor's class.
        negatives: (P, d), with gradient.
        allowed: (A, P) bool, which are negatives of each anchor.
        temperatures: (A,), tau.
        negative_temperature: tau_n.
        negative_weight: w.

    Returns:
        The losses of the anchors that have a negative; the others are left out.
    """
    some = allowed.any(1).nonzero().squeeze(1)
    allowed, unit = allowed[some], F.normalize(anchors[some], dim=1)
    positive = (unit * F.normalize(centres[some], dim=1)).sum(1) / temperatures[some]
    similarity = unit @ F.normalize(negatives, dim=1).T / negative_temperature
    total = similarity.masked_fill(~allowed, -torch.inf).logsumexp(1)
    count = allowed.sum(1, dtype=total.dtype)
    negative = math.log(negative_weight) + total - count.log()
    return torch.logaddexp(positive, negative) - positive
