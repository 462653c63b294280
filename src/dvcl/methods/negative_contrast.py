"""The contrast of U2PL, with its banks of what a voxel surely is not."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.losses.class_sums import sizes_of_groups
from dvcl.losses.feature_contrast import info_nce
from dvcl.losses.voxel_sampling import NOBODY, Drawn, sample_mask, sample_per_class
from dvcl.methods.parts import ClassQueues
from dvcl.networks.heads import gather_voxels

Embed = Callable[[Tensor], Tensor]


class NegativeContrast(nn.Module):
    """Voxels go to the teacher's centre of their class, away from the class's bank of negatives.

    A class without anchors or without negatives is skipped.

    Args:
        classes: K.
        dimension: d.
        probable: A voxel may belong to its so many most probable classes, not to the others.
        confidence: Teacher's probability of its class that an anchor must exceed.
        anchors: Per class.
        negatives: Per anchor.
        keys: Voxels per class that make a centre, and that enter a bank from either kind of patch.
        bank_size: Negatives kept per class.
        temperature: tau.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        probable: int,
        confidence: float,
        anchors: int,
        negatives: int,
        keys: int,
        bank_size: int,
        temperature: float,
    ) -> None:
        super().__init__()
        self.classes, self.probable, self.confidence = classes, probable, confidence
        self.anchors, self.negatives, self.keys = anchors, negatives, keys
        self.temperature = temperature
        self.banks = ClassQueues(classes, bank_size, dimension)

    def forward(
        self,
        embed: Embed,
        teacher_embed: Embed,
        teacher_log: Tensor,
        labels: Tensor,
        certain: Tensor,
        uncertain: Tensor,
        random: torch.Generator,
    ) -> Tensor:
        """Mean over anchors, then over contributing classes; 0 when there are none.

        Args:
            embed: From voxels (N,), counted over all patches, to the student's features (N, d).
            teacher_embed: The same for the teacher, without gradient.
            teacher_log: (B + U, K, D, H, W) log-softmax of the teacher.
            labels: (B + U, D, H, W) int64, labels and pseudo-labels.
            certain: (U, D, H, W) bool, unlabelled voxels that are anchors and make centres, as all
                labelled ones do.
            uncertain: (U, D, H, W) bool, unlabelled voxels that make negatives.
            random: Draws voxels.
        """
        known = len(labels) - len(certain)
        self._remember(teacher_embed, teacher_log, labels[:known], uncertain, random)
        sure = torch.cat([torch.ones_like(labels[:known], dtype=torch.bool), certain])
        voxels, classes, sizes = self._sample(labels, sure, self.keys, random)
        rows = teacher_embed(voxels)
        own = gather_voxels(teacher_log, voxels).gather(1, classes.unsqueeze(1)).squeeze(1)
        confident = own > math.log(self.confidence)
        chosen = self._sample(classes, confident, self.anchors, random)
        anchors = F.normalize(embed(voxels[chosen.voxels]), dim=1)
        losses = []
        parts = zip(self.banks, anchors.split(chosen.sizes), rows.split(sizes), strict=True)
        for bank, mine, own_rows in parts:
            kept = bank.content()
            if not len(mine) or not len(kept):
                continue
            centre = F.normalize(own_rows.mean(0), dim=0)
            drawn = torch.randint(
                len(kept), (len(mine), self.negatives), generator=random, device=kept.device
            )
            positive = (mine @ centre).unsqueeze(1) / self.temperature
            negative = torch.einsum("ad,and->an", mine, kept[drawn]) / self.temperature
            losses.append(info_nce(positive, negative).mean())
        return torch.stack(losses).mean() if losses else anchors.sum() * 0

    def _remember(
        self,
        teacher_embed: Embed,
        teacher_log: Tensor,
        labels: Tensor,
        uncertain: Tensor,
        random: torch.Generator,
    ) -> None:
        """Labelled voxels that could be taken for c, and unlabelled ones that could not."""
        known = labels.numel()
        probable = teacher_log[: len(labels)].topk(self.probable, dim=1).indices.movedim(1, 0)
        mistaken, _, sizes = self._sample(probable, probable != labels, self.keys, random)
        unsure = sample_mask(uncertain, self.keys, random) + known
        rows = F.normalize(teacher_embed(torch.cat([mistaken % known, unsure])), dim=1)
        of_labelled, of_unlabelled = rows.split([len(mistaken), len(unsure)])
        # A class's place in the order of probabilities.
        ranks = gather_voxels(teacher_log, unsure).argsort(1, descending=True).argsort(1)
        improbable, unlike = (ranks >= self.probable).T.nonzero().unbind(1)
        parts = of_unlabelled[unlike].split(sizes_of_groups(improbable.contiguous(), self.classes))
        for bank, *rows_of_class in zip(self.banks, of_labelled.split(sizes), parts, strict=True):
            for kept in rows_of_class:
                bank.push(kept)

    def _sample(self, labels: Tensor, mask: Tensor, count: int, random: torch.Generator) -> Drawn:
        """Up to ``count`` voxels of each class where ``mask`` is true."""
        codes = torch.where(mask, labels, NOBODY).to(torch.uint8)
        return sample_per_class(codes, self.classes, count, random)
