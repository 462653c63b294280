"""The contrast of UGPCL, with its queue of mean features of organs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.losses.supervised_contrast import supervised_contrast
from dvcl.losses.voxel_sampling import NOBODY, sample_per_class
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
        for patch, places in zip(maps.detach(), organs, strict=True):
            self._remember(patch, places)
        voxels, anchor_organs = self._draw_anchors(organs, wrong, random)
        anchors = F.normalize(self.head(gather_voxels(maps, voxels)), dim=1)
        rows = [queue.content() for queue in self.queues]
        sizes = torch.tensor([len(kept) for kept in rows], device=maps.device)
        row_organs = torch.arange(1, self.classes, device=maps.device).repeat_interleave(sizes)
        losses = supervised_contrast(
            anchors, anchor_organs, torch.cat(rows), row_organs, self.temperature
        )
        return losses.sum() / max(1, len(losses))

    @torch.no_grad()
    def _remember(self, maps: Tensor, organs: Tensor) -> None:
        """Push the mean feature of every organ of one patch, (F, D, H, W) and (D, H, W)."""
        features = F.normalize(self.head(maps.flatten(1).T.float()), dim=1)
        members = F.one_hot(organs.flatten(), self.classes)[:, 1:].float()
        means = F.normalize(members.T @ features, dim=1)
        sizes = members.sum(0).tolist()
        for queue, mean, size in zip(self.queues, means, sizes, strict=True):
            if size:
                queue.push(mean.unsqueeze(0))

    def _draw_anchors(
        self, organs: Tensor, wrong: Tensor, random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Voxels of all patches (N,) and their organs (N,)."""
        # The odd one of an odd number is hard in every second step.
        coin = torch.randint(2, (), generator=random, device=organs.device)
        half = (self.anchors + coin) // 2
        codes = torch.where(organs > 0, 2 * organs + wrong, NOBODY).to(torch.uint8)
        voxels, names = [], []
        for index, patch in enumerate(codes):
            drawn, groups = sample_per_class(patch, 2 * self.classes, self.anchors, random)
            sizes = groups.bincount(minlength=2 * self.classes)
            easy, hard = sizes[::2], sizes[1::2]
            # What one kind lacks, the other makes up for.
            hard = torch.minimum(hard, torch.maximum(half, self.anchors - easy))
            kept = torch.stack([torch.minimum(easy, self.anchors - hard), hard], dim=1).flatten()
            firsts = sizes.cumsum(0) - sizes
            place = torch.arange(len(groups), device=groups.device) - firsts[groups]
            chosen = place < kept[groups]
            voxels.append(drawn[chosen] + index * patch.numel())
            names.append(groups[chosen] // 2)
        return torch.cat(voxels), torch.cat(names)
