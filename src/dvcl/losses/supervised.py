"""The supervised loss of every method: half Dice, half cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dvcl.errors import InputError
from dvcl.losses.class_sums import counts_per_class, of_own_class, sums_per_class

SMOOTH = 1e-5
LARGEST_WEIGHT = 8.0


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
    truth = of_own_class(probabilities, labels)
    counts = counts_per_class(labels, probabilities.shape[1])
    losses = _dice_losses(truth, probabilities.square(), labels, counts, annotated)
    return losses.mean() if annotated is None else losses[annotated.any(0)].mean()


def _dice_losses(
    truth: Tensor, squares: Tensor, labels: Tensor, counts: Tensor, annotated: Tensor | None
) -> Tensor:
    """(K,) from each voxel's probability of its own class, and all probabilities squared."""
    if annotated is not None:
        squares = squares * annotated[:, :, None, None, None]
    sizes = squares.sum((0, 2, 3, 4)) + counts
    shared = sums_per_class(truth, labels, len(counts))
    return 1 - (2 * shared + SMOOTH) / (sizes + SMOOTH)


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


@dataclass(frozen=True)
class SupervisedLoss:
    """L_s = (Dice + cross-entropy) / 2 (DVCL, appendix B), with what all methods share of it.

    Attributes:
        dice_over: "all" takes the mean Dice over all classes, as printed; "present" over those that
            the batch's labels hold. A small patch lacks most organs, and for an absent organ soft
            Dice is nearly 1 whatever is predicted: it drowns what can be learned.
        background: Whether the background counts in that mean.
        class_weights: "none"; or "inverse_sqrt", by which a class weighs sqrt(n / n_c) in the
            cross-entropy, with n_c its voxels in the batch and n those of the most frequent class,
            but at most `LARGEST_WEIGHT`.
    """

    dice_over: Literal["all", "present"] = "all"
    background: bool = True
    class_weights: Literal["none", "inverse_sqrt"] = "none"

    def __post_init__(self) -> None:
        if self.dice_over not in ("all", "present"):
            raise InputError(f"loss.dice_over: {self.dice_over!r} found, all or present expected.")
        if self.class_weights not in ("none", "inverse_sqrt"):
            raise InputError(
                f"loss.class_weights: {self.class_weights!r} found, none or inverse_sqrt expected."
            )

    def __call__(
        self, log_probabilities: Tensor, labels: Tensor, annotated: Tensor | None = None
    ) -> Tensor:
        """The loss of one network.

        Args:
            log_probabilities: (B, K, D, H, W), log-softmax.
            labels: (B, D, H, W) int64.
            annotated: (B, K) bool, which classes each patch's label map shows, see
                `merge_unannotated`; None for all.
        """
        if annotated is not None:
            log_probabilities = merge_unannotated(log_probabilities, annotated)
        truth = of_own_class(log_probabilities, labels)
        counts = counts_per_class(labels, log_probabilities.shape[1])
        losses = _dice_losses(truth.exp(), (2 * log_probabilities).exp(), labels, counts, annotated)
        return 0.5 * (
            self._mean(losses, counts, annotated) + self._cross_entropy(truth, labels, counts)
        )

    def _mean(self, losses: Tensor, counts: Tensor, annotated: Tensor | None) -> Tensor:
        """Over the classes that count; of an empty patch the background does."""
        counted = torch.ones_like(counts, dtype=torch.bool)
        if annotated is not None:
            counted &= annotated.any(0)
        if self.dice_over == "present":
            counted &= counts > 0
        if not self.background:
            counted[0] = ~counted[1:].any()
        return torch.where(counted, losses, 0).sum() / counted.sum()

    def _cross_entropy(self, truth: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Mean of -log p over voxels, each weighing as its class does."""
        if self.class_weights == "none":
            return -truth.mean()
        rarity = counts.max() / counts.clamp_min(1).to(truth.dtype)
        weights = rarity.sqrt().clamp_max(LARGEST_WEIGHT)[labels]
        return -(weights * truth).sum() / weights.sum()
