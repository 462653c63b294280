"""The supervised loss of every method: half Dice, half cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH = 1e-5


def dice_loss(probabilities: Tensor, labels: Tensor, annotated: Tensor | None = None) -> Tensor:
    """Soft Dice loss over the whole batch, mean over all K classes, the background included.

    1 - (2 sum(p y) + s) / (sum(p^2) + sum(y^2) + s) with s = 1e-5, the form common to this field
    (Luo et al., SSL4MIS); sums run over batch and voxels, so that a class absent from one patch
    but present in another is counted once.

    Args:
        probabilities: (B, K, D, H, W), softmax.
        labels: (B, D, H, W) int64.
        annotated: (B, K) bool. A class counts in the patches where it is true, and in the mean if
            that is some patch.

    Returns:
        Scalar in [0, 1].
    """
    classes = torch.arange(probabilities.shape[1], device=labels.device)
    truth = labels.unsqueeze(1) == classes.view(1, -1, 1, 1, 1)
    everywhere = (0, 2, 3, 4)
    shared = (probabilities * truth).sum(everywhere)
    present = labels.flatten().bincount(minlength=probabilities.shape[1])
    squares = probabilities.square()
    if annotated is not None:
        squares = squares * annotated[:, :, None, None, None]
    sizes = squares.sum(everywhere) + present
    losses = 1 - (2 * shared + SMOOTH) / (sizes + SMOOTH)
    return losses.mean() if annotated is None else losses[annotated.any(0)].mean()


def merge_unannotated(log_probabilities: Tensor, annotated: Tensor) -> Tensor:
    """Add the probability of classes that a patch does not annotate to its background.

    Its label map calls those organs background, so background means "none of the annotated organs"
    there: the marginal loss of partly labelled data (Shi et al., Medical Image Analysis 2021).

    Args:
        log_probabilities: (B, K, D, H, W), log-softmax.
        annotated: (B, K) bool; class 0 is always annotated.

    Returns:
        (B, K, D, H, W); the other classes are as they were, also those that were added.
    """
    merged = annotated.logical_not()
    merged[:, 0] = True
    left_out = ~merged[:, :, None, None, None]
    background = log_probabilities.masked_fill(left_out, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([background, log_probabilities[:, 1:]], dim=1)


def supervised_loss(
    log_probabilities: Tensor, labels: Tensor, annotated: Tensor | None = None
) -> Tensor:
    """L_s = (Dice + cross-entropy) / 2 (DVCL, appendix B).

    Args:
        log_probabilities: (B, K, D, H, W), log-softmax.
        labels: (B, D, H, W) int64.
        annotated: (B, K) bool, which classes each patch's label map shows, see
            `merge_unannotated`; None for all.
    """
    if annotated is not None:
        log_probabilities = merge_unannotated(log_probabilities, annotated)
    cross_entropy = F.nll_loss(log_probabilities, labels)
    return 0.5 * (dice_loss(log_probabilities.exp(), labels, annotated) + cross_entropy)
