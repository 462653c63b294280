"""The supervised loss of every method: half Dice, half cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH = 1e-5


def dice_loss(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Soft Dice loss over the whole batch, mean over all K classes, the background included.

    1 - (2 sum(p y) + s) / (sum(p^2) + sum(y^2) + s) with s = 1e-5, the form common to this field
    (Luo et al., SSL4MIS); sums run over batch and voxels, so that a class absent from one patch
    but present in another is counted once.

    Args:
        probabilities: (B, K, D, H, W), softmax.
        labels: (B, D, H, W) int64.

    Returns:
        Scalar in [0, 1].
    """
    classes = torch.arange(probabilities.shape[1], device=labels.device)
    truth = labels.unsqueeze(1) == classes.view(1, -1, 1, 1, 1)
    everywhere = (0, 2, 3, 4)
    shared = (probabilities * truth).sum(everywhere)
    present = labels.flatten().bincount(minlength=probabilities.shape[1])
    sizes = probabilities.square().sum(everywhere) + present
    return (1 - (2 * shared + SMOOTH) / (sizes + SMOOTH)).mean()


def supervised_loss(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """L_s = (Dice + cross-entropy) / 2 (DVCL, appendix B).

    Args:
        log_probabilities: (B, K, D, H, W), log-softmax.
        labels: (B, D, H, W) int64.
    """
    cross_entropy = F.nll_loss(log_probabilities, labels)
    return 0.5 * (dice_loss(log_probabilities.exp(), labels) + cross_entropy)
