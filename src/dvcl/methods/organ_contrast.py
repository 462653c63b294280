"""The contrast of UGPCL, with its queue of mean features of organs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.losses.supervised_contrast import supervised_contrast
from dvcl.losses.voxel_sampling import sample_per_class
from dvcl.methods.parts import ClassQueues
from dvcl.networks.heads import FeatureHead, gather_voxels


class OrganContrast(nn.Module):
    """Voxels of an organ go to its mean features in past patches, away from other organs'.

    A patch's own means enter the queue before they are used, so that no anchor lacks a positive.

    Args:
        classes: K.
        inputs: Channels of the feature map.
        dimension: d.
        anchors: Per patch and organ, half of them wrongly predicted if there are enough.
        queue_size: Mean features kept per organ.
        temperature: tau.
    """

    def __init__(
        self,
        classes: int,
        inputs: int,
        dimension: int,
        anchors: int,
        queue_size: int,
        temperature: float,
    ) -> None:
        super().__init__()
        self.classes, self.anchors, self.temperature = classes, anchors, temperature
        self.head = FeatureHead(inputs, dimension)
        self.queues = ClassQueues(classes - 1, queue_size, dimension)

    def forward(
        self, maps: Tensor, organs: Tensor, wrong: Tensor, random: torch.Generator
    ) -> Tensor:
        """Mean over anchors; 0 without any.

        Args:
            maps: (B, F, D, H, W), with gradient.
            organs: (B, D, H, W) int64, 0 where a voxel takes no part.
            wrong: (B, D, H, W) bool, which voxels are hard.
            random: Draws the anchors.
        """
        self._remember(maps.detach(), organs)
        voxels = self._draw_anchors(organs, wrong, random)
        anchors = F.normalize(self.head(gather_voxels(maps, voxels)), dim=1)
        rows = [queue.content() for queue in self.queues]
        row_organs = [
            torch.full((len(kept),), organ, device=maps.device)
            for organ, kept in enumerate(rows, start=1)
        ]
        losses = supervised_contrast(
            anchors, organs.flatten()[voxels], torch.cat(rows), torch.cat(row_organs),
            self.temperature,
        )  # fmt: skip
        return losses.sum() / max(1, len(losses))

    @torch.no_grad()
    def _remember(self, maps: Tensor, organs: Tensor) -> None:
        """Push the mean feature of every organ of each patch."""
        members = F.one_hot(organs.flatten(1), self.classes)[..., 1:].float()
        sizes = members.sum(1).tolist()
        for patch, belongs, counts in zip(maps, members, sizes, strict=True):
            features = F.normalize(self.head(patch.flatten(1).T.float()), dim=1)
            means = F.normalize(belongs.T @ features, dim=1)
            for queue, mean, size in zip(self.queues, means, counts, strict=True):
                if size:
                    queue.push(mean.unsqueeze(0))

    def _draw_anchors(self, organs: Tensor, wrong: Tensor, random: torch.Generator) -> Tensor:
        """Voxels of all patches (N,)."""
        # The odd one of an odd number is hard in every second step.
        coin = torch.randint(2, (), generator=random, device=organs.device)
        half = (self.anchors + int(coin)) // 2
        # Easy and hard voxels of every organ of every patch.
        groups = 2 * self.classes * len(organs)
        patches = torch.arange(len(organs), device=organs.device).view(-1, 1, 1, 1)
        codes = 2 * (self.classes * patches + organs) + wrong
        codes = torch.where(organs > 0, codes, groups)
        voxels, _, sizes = sample_per_class(codes, groups, self.anchors, random)
        parts, chosen = voxels.split(sizes), []
        for easy, hard in zip(parts[::2], parts[1::2], strict=True):
            # What one kind lacks, the other makes up for.
            wanted = min(len(hard), max(half, self.anchors - len(easy)))
            chosen += [easy[: self.anchors - wanted], hard[:wanted]]
        return torch.cat(chosen)
