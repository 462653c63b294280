"""The two contrastive halves of DVCL, each with the memory that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.losses.contrastive import distance_aware, prototype_contrast
from dvcl.losses.feature_contrast import info_nce, nt_xent, sim_clr
from dvcl.losses.neighbour_divergence import kl_contrast, neighbour_consistency
from dvcl.losses.neighbours import find_neighbours
from dvcl.methods.parts import ClassQueues, FeatureQueue, check_choice

SIMILARITY_LOSSES = {"infonce": info_nce, "simclr": sim_clr, "simclr_union": nt_xent}
DISTANCE_LOSSES = ("loglikelihood", "kl", "nccl", *SIMILARITY_LOSSES)


class HighQualityContrast(nn.Module):
    """HqC (Eq. 6-11): reliable voxels go to their class centre, away from false positives.

    A class without anchors or without false positives is skipped. Negatives keep their gradient,
    since the paper wants them guided away; a class's negatives are one pool of up to M voxels from
    which every anchor draws its N with replacement.

    Attributes:
        contributing: Classes that took part in the last step.

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
        self.contributing = 0
        self.banks = ClassQueues(classes, bank_size, dimension)
        self.remembered = ClassQueues(classes, bank_size if remember_negatives else 0, dimension)

    def forward(
        self,
        anchors: Sequence[Tensor],
        negatives: Sequence[Tensor],
        random: torch.Generator,
    ) -> Tensor:
        """Mean over anchors, then over contributing classes; 0 when there are none.

        Args:
            anchors: (A, d) for each class: Eq. 8.
            negatives: (G, d) for each class that is wrongly predicted: Eq. 10.
            random: Draws the negatives of each anchor.
        """
        losses = []
        for bank, remembered, mine, wrong in zip(
            self.banks, self.remembered, anchors, negatives, strict=True
        ):
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
        self.contributing = len(losses)
        return torch.stack(losses).mean() if losses else torch.cat([*anchors]).sum() * 0

    def trusted(self) -> tuple[Tensor, Tensor]:
        """The banks' features (N, d), unit, and their classes as certain probabilities (N, K).

        For the distance-aware loss: neighbours among them are trusted, those among unreliable
        voxels doubtful. The paper's form of ICCV 2025 parts neighbours too; its rule is not known.
        """
        rows = [bank.content() for bank in self.banks]
        certain = torch.eye(len(rows), device=rows[0].device)
        classes = [row.expand(len(bank), -1) for row, bank in zip(certain, rows, strict=True)]
        return F.normalize(torch.cat(rows), dim=1), torch.cat(classes)


class DistanceContrast(nn.Module):
    """The distance-aware loss (Eq. 12-17) with its queue of past unreliable voxels.

    Candidates are the queue and the other queries of this step, always detached; a query is never
    its own neighbour. Features choose the sets; the loss reaches the probabilities only.

    The paper's other losses (Tables 4 and 8) use the same sets. "kl" and "nccl" reach the
    probabilities, "infonce", "simclr" and "simclr_union" the features.

    Attributes:
        candidates: Of every query in the last step.

    Args:
        classes: C.
        dimension: d.
        neighbours: K of Eq. 13.
        outsiders: K' of Eq. 13.
        queue_size: Past queries kept.
        reduction: "sum" as printed or "mean", see `losses.contrastive.distance_aware`.
        loss: One of `DISTANCE_LOSSES`.
        temperature: Of the other losses, "kl" excepted.
        foreign_outsiders: Take outsiders only from candidates whose most probable class is not the
            query's, as negatives are of other classes in Wang et al., ICCV 2021,
            https://arxiv.org/abs/2101.11939; queries that have fewer than K' are left out
            of the mean, which is 0 without any.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        neighbours: int,
        outsiders: int,
        queue_size: int,
        reduction: Literal["sum", "mean"],
        loss: str = "loglikelihood",
        temperature: float = 1.0,
        foreign_outsiders: bool = False,
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, ("sum", "mean"))
        check_choice("distance_loss", loss, DISTANCE_LOSSES)
        self.neighbours, self.outsiders, self.reduction = neighbours, outsiders, reduction
        self.loss, self.temperature = loss, temperature
        self.foreign_outsiders = foreign_outsiders
        self.candidates = 0
        self.features = FeatureQueue(queue_size, dimension)
        self.probabilities = FeatureQueue(queue_size, classes)

    def forward(
        self, features: Tensor, probabilities: Tensor, *more: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Mean over queries; 0 while there are fewer candidates than K + K'.

        NaN where features are not finite: what they choose means nothing.

        Args:
            features: (Q, d) of unreliable voxels.
            probabilities: (Q, C) of the same voxels, with gradient.
            more: Further candidates: unit features (N, d) and probabilities (N, C), detached.
        """
        rows = F.normalize(features.float(), dim=1)
        unit = rows.detach()
        known = (unit, probabilities.detach())
        past = (self.features.content(), self.probabilities.content())
        candidates, predictions = (torch.cat(part) for part in zip(known, past, *more, strict=True))
        self.features.push(unit)
        self.probabilities.push(probabilities)
        self.candidates = max(len(candidates) - 1, 0)
        if not len(unit) or self.candidates < self.neighbours + self.outsiders:
            return probabilities.sum() * 0
        itself = torch.arange(len(unit), device=unit.device)
        best = predictions.argmax(1)
        classes = (best[: len(unit)], best) if self.foreign_outsiders else None
        near, far = find_neighbours(
            unit, candidates, self.neighbours, self.outsiders, itself, classes
        )
        losses = self._losses(rows, probabilities, candidates, predictions, near, far)
        if classes is None:
            return losses.mean() + 0 * unit.sum()
        served = (best[far] != classes[0].unsqueeze(1)).all(1)
        total = torch.where(served, losses, 0).sum()
        return total / served.sum().clamp(min=1) + 0 * unit.sum()

    def _losses(
        self,
        rows: Tensor,
        probabilities: Tensor,
        candidates: Tensor,
        predictions: Tensor,
        near: Tensor,
        far: Tensor,
    ) -> Tensor:
        """(Q,), but of "nccl" one number, as it is about all queries together."""
        if self.loss in SIMILARITY_LOSSES:
            similarities = (
                torch.einsum("qd,qkd->qk", rows, candidates[chosen]) / self.temperature
                for chosen in (near, far)
            )
            return SIMILARITY_LOSSES[self.loss](*similarities)
        if self.loss == "nccl":
            neighbourhood = predictions[near].mean(1)
            return neighbour_consistency(probabilities, neighbourhood, self.temperature)
        if self.loss == "kl":
            return kl_contrast(probabilities, predictions[near], predictions[far])
        return distance_aware(probabilities, predictions[near], predictions[far], self.reduction)
