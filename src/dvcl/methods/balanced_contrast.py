"""BaCon's contrast with what it remembers: features of every class and how often it is met."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dvcl.losses.centre_contrast import (
    balanced_temperatures,
    centre_contrast,
    reliable_negatives,
)
from dvcl.losses.class_sums import counts_per_class
from dvcl.losses.confident import confident_labels
from dvcl.losses.pseudo_labels import hard_labels
from dvcl.losses.voxel_sampling import NOBODY, sample_per_class
from dvcl.methods.parts import ClassQueues
from dvcl.networks.heads import FeatureHead, gather_voxels

FREQUENCY_DECAY = 0.99


class BalancedContrast(nn.Module):
    """Anchors go to the centre of their class, away from voxels that are surely of another one.

    Anchors are labelled voxels that are predicted right and unlabelled ones that are confident.
    The centre is the mean of a class's last anchors, without gradient.

    Args:
        classes: K.
        channels: Of the feature map.
        dimension: Of the projection.
        anchors: Most per class and step.
        negatives: Voxels drawn per step, from which every class takes its reliable negatives.
        negative_weight: See `losses.centre_contrast`.
        possible: See `losses.centre_contrast.reliable_negatives`.
        cutoff: Probability from which an unlabelled voxel is an anchor.
        temperature: Of negatives, and of positives at the end.
        spread: How much lower that of the most frequent class begins.
        bank_size: Features kept per class.
    """

    frequency: Tensor

    def __init__(
        self,
        classes: int,
        channels: int,
        *,
        dimension: int,
        anchors: int,
        negatives: int,
        negative_weight: float,
        possible: int,
        cutoff: float,
        temperature: float,
        spread: float,
        bank_size: int,
    ) -> None:
        super().__init__()
        self.classes, self.anchors, self.negatives = classes, anchors, negatives
        self.negative_weight, self.possible, self.cutoff = negative_weight, possible, cutoff
        self.temperature, self.spread = temperature, spread
        self.projection = FeatureHead(channels, dimension)
        self.banks = ClassQueues(classes, bank_size, dimension)
        self.register_buffer("frequency", torch.zeros(classes))

    def forward(
        self,
        labelled: Tensor,
        weak: Tensor,
        labels: Tensor,
        features: Tensor,
        progress: float,
        random: torch.Generator,
    ) -> Tensor:
        """Mean over anchors that have a negative; 0 when there are none.

        Args:
            labelled: (B, K, D, H, W) log-probabilities of the labelled patches.
            weak: (U, K, D, H, W) log-probabilities of the weak views.
            labels: (B, D, H, W) int64.
            features: (B + U or more, F, D, H, W), in the same order.
            progress: Of the training, in [0, 1].
            random: Draws the voxels.
        """
        codes = self._anchor_codes(labelled, weak, labels)
        anchors, classes, sizes = sample_per_class(codes, self.classes, self.anchors, random)
        pool = torch.randint(
            codes.numel(), (self.negatives,), generator=random, device=codes.device
        )
        rows = self.projection(gather_voxels(features, torch.cat([anchors, pool])))
        anchor_rows, pool_rows = rows.split([len(anchors), len(pool)])
        for bank, mine in zip(self.banks, anchor_rows.split(sizes), strict=True):
            bank.push(mine)
        # A class that was never met has no centre, but no anchors either.
        centres = torch.stack([bank.content().mean(0) for bank in self.banks])
        temperatures = balanced_temperatures(
            self.frequency, progress, self.temperature, self.spread
        )
        allowed = reliable_negatives(labels, weak, pool, self.possible)
        losses = centre_contrast(
            anchor_rows, centres[classes], pool_rows, allowed[classes], temperatures[classes],
            self.temperature, self.negative_weight,
        )  # fmt: skip
        return losses.mean() if len(losses) else rows.sum() * 0

    @torch.no_grad()
    def _anchor_codes(self, labelled: Tensor, weak: Tensor, labels: Tensor) -> Tensor:
        """The class that each voxel anchors, or `NOBODY`; their numbers enter the frequency."""
        right = torch.where(hard_labels(labelled) == labels, labels, NOBODY)
        pseudo, sure = confident_labels(weak, self.cutoff)
        codes = torch.cat([right, torch.where(sure, pseudo, NOBODY)])
        met = counts_per_class(codes.clamp(max=self.classes), self.classes + 1)[: self.classes]
        self.frequency.lerp_(met.float(), 1 - FREQUENCY_DECAY)
        return codes.to(torch.uint8)
