"""The two contrastive halves of DVCL, each with the memory that it needs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.losses.contrastive import distance_aware, prototype_contrast
from dvcl.losses.neighbours import find_neighbours
from dvcl.methods.parts import ClassQueues, FeatureQueue, check_choice


class HighQualityContrast(nn.Module):
    """HqC (Eq. 6-11): reliable voxels go to their class centre, away from false positives.

    A class without anchors or without false positives is skipped. Negatives keep their gradient,
    since the paper wants them guided away; a class's negatives are one pool of up to M voxels from
    which every anchor draws its N with replacement.

    Args:
        classes: K.
        dimension: d.
        negatives: N per anchor.
        temperature: tau.
        bank_size: Features per class of which the centre is the mean (Eq. 9).
        detach_negatives: Take the gradient from negatives.
        remember_negatives: Fall back on earlier negatives for a class that has none now.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        negatives: int,
        temperature: float,
        bank_size: int,
        detach_negatives: bool,
        remember_negatives: bool,
    ) -> None:
        super().__init__()
        self.negatives, self.temperature = negatives, temperature
        self.detach_negatives = detach_negatives
        self.banks = ClassQueues(classes, bank_size, dimension)
        self.remembered = ClassQueues(classes, bank_size if remember_negatives else 0, dimension)

    def forward(
        self,
        anchors: Tensor,
        anchor_classes: Tensor,
        negatives: Tensor,
        negative_classes: Tensor,
        random: torch.Generator,
    ) -> Tensor:
        """Mean over anchors, then over contributing classes; 0 when there are none.

        Args:
            anchors: (A, d) and anchor_classes (A,): Eq. 8.
            anchor_classes: See ``anchors``.
            negatives: (G, d) and negative_classes (G,), the class wrongly predicted: Eq. 10.
            negative_classes: See ``negatives``.
            random: Draws the negatives of each anchor.
        """
        losses = []
        for index, (bank, remembered) in enumerate(zip(self.banks, self.remembered, strict=True)):
            mine = anchors[anchor_classes == index]
            wrong = negatives[negative_classes == index]
            bank.push(mine)
            remembered.push(wrong)
            if not len(wrong):
                wrong = remembered.content()
            if not len(mine) or not len(wrong):
                continue
            drawn = torch.randint(
                len(wrong), (len(mine), self.negatives), generator=random, device=wrong.device
            )
            wrong = wrong.detach() if self.detach_negatives else wrong
            centre = bank.content().mean(0)
            losses.append(prototype_contrast(mine, centre, wrong, drawn, self.temperature).mean())
        return torch.stack(losses).mean() if losses else anchors.sum() * 0


class DistanceContrast(nn.Module):
    """The distance-aware loss (Eq. 12-17) with its queue of past unreliable voxels.

    Candidates are the queue and the other queries of this step, always detached; a query is never
    its own neighbour. Features choose the sets; the loss reaches the probabilities only.

    Args:
        classes: K.
        dimension: d.
        neighbours: K of Eq. 13.
        outsiders: K' of Eq. 13.
        queue_size: Past queries kept.
        reduction: "sum" as printed or "mean", see `losses.contrastive.distance_aware`.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        neighbours: int,
        outsiders: int,
        queue_size: int,
        reduction: Literal["sum", "mean"],
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, ("sum", "mean"))
        self.neighbours, self.outsiders, self.reduction = neighbours, outsiders, reduction
        self.features = FeatureQueue(queue_size, dimension)
        self.probabilities = FeatureQueue(queue_size, classes)

    def forward(self, features: Tensor, probabilities: Tensor) -> Tensor:
        """Mean over queries; 0 while there are fewer candidates than K + K'.

        Args:
            features: (Q, d) of unreliable voxels.
            probabilities: (Q, C) of the same voxels, with gradient.
        """
        unit = F.normalize(features.detach().float(), dim=1)
        candidates = torch.cat([unit, self.features.content()])
        predictions = torch.cat([probabilities.detach(), self.probabilities.content()])
        self.features.push(unit)
        self.probabilities.push(probabilities)
        if len(candidates) - 1 < self.neighbours + self.outsiders:
            return probabilities.sum() * 0
        itself = torch.arange(len(unit), device=unit.device)
        near, far = find_neighbours(unit, candidates, self.neighbours, self.outsiders, itself)
        psi = distance_aware(probabilities, predictions[near], predictions[far], self.reduction)
        return psi.mean() if len(psi) else probabilities.sum() * 0
