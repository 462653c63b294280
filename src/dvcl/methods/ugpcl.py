"""UGPCL: uncertainty-guided pixel contrastive learning."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.errors import InputError
from dvcl.losses.entropy import voxel_entropy
from dvcl.losses.pseudo_labels import hard_labels
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.method import MakeNetwork, Method, Representation, Terms
from dvcl.methods.organ_contrast import OrganContrast
from dvcl.methods.parts import check_at_least, check_at_most, check_start
from dvcl.networks.heads import gather_voxels, unravel
from dvcl.networks.sharing import divided, gathered
from dvcl.networks.two_decoders import TwoDecoders
from dvcl.sampling.batch import Batch

EMBEDDED_LEVEL = 2


class UGPCL(Method):
    """Uncertainty-guided pixel contrastive learning (Wang et al., IJCAI 2022).

    https://github.com/taovv/UGPCL. One encoder with two decoders that must agree; where the entropy
    of their mean is low, encoder features contrast with a queue of mean features of each organ; the
    encoder also tells by how many quarter turns a patch was rotated. Predicts with the first
    decoder.

    Deviations, to fit this 3-D frame: the decoders interpolate and use transposed convolutions, in
    place of a U-Net's and a Swin decoder; their Dice includes the background; the entropy's limit
    scales with ln K, not with ln 2 whatever K is; turns are in the H-W plane, half ones only where
    H and W differ, without small random angles; the feature head is an MLP without normalisation at
    the encoder's quarter resolution, applied to sampled voxels. Mistakes not repeated: the queue
    starts empty, not with random vectors, and is filled before it is used; it has no rows for the
    background, not zero vectors that attract it and repel the rest, and so background is no anchor;
    the number of an anchor masks no row of the queue; organs of few voxels give fewer anchors, not
    none; an odd anchor is hard every second time, not never. The queue of single pixels, which the
    original fills without use, is left out.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        second_weight: Weight of the second decoder's supervised loss.
        consistency: Largest weight of the mean squared difference of both softmax maps, unlabelled.
        rotation: Weight of the rotation's cross-entropy; 0 rotates nothing.
        contrast: Weight of the contrast; 0 switches it off.
        contrast_start: Progress at which the contrast begins.
        certainty: Share of ln K that the entropy of a certain voxel may reach at first; it grows to
            1 along the sigmoid ramp.
        anchors: Per patch and organ, half of them wrongly predicted ones if there are enough.
        queue_size: Mean features kept per organ.
        temperature: tau.
        feature_dimension: d of the feature head.
    """

    learns_by = (
        "agreement of two decoders; rotations; contrast of certain voxels with a queue of organs"
    )
    supervised_extra = "its second decoder"
    extra_cost = "the second decoder; a feature head at sampled voxels"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        second_weight: float = 0.4,
        consistency: float = 0.01,
        rotation: float = 0.1,
        contrast: float = 0.1,
        contrast_start: float = 0.05,
        certainty: float = 0.75,
        anchors: int = 1,
        queue_size: int = 500,
        temperature: float = 0.07,
        feature_dimension: int = 256,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, second_weight=second_weight, consistency=consistency, rotation=rotation,
                       contrast=contrast, certainty=certainty)  # fmt: skip
        check_at_least(1, anchors=anchors, queue_size=queue_size,
                       feature_dimension=feature_dimension)  # fmt: skip
        check_at_least(1e-3, temperature=temperature)
        check_at_most(1, certainty=certainty)
        check_start(contrast_start=contrast_start)
        if contrast > 0 and classes < 3:
            raise InputError(
                "method.contrast: the queue holds organs only, so that one organ has nothing to "
                "contrast with; set methods.ugpcl.contrast to 0."
            )
        self.second_weight, self.consistency, self.rotation = second_weight, consistency, rotation
        self.contrast, self.contrast_start, self.certainty = contrast, contrast_start, certainty
        network = make_network("kaiming")
        self.networks = TwoDecoders(network, make_network("kaiming"))
        deepest = len(self.networks.second_up)
        self.level = min(EMBEDDED_LEVEL, deepest)
        channels = network.feature_channels
        self.rotation_head = nn.Linear(channels * 2**deepest, 4)
        self.organ_contrast = OrganContrast(
            classes, channels * 2**self.level, feature_dimension, anchors, queue_size, temperature
        )

    def losses(self, batch: Batch, progress: float) -> Terms:
        """All four terms on the same, possibly rotated, patches."""
        known = len(batch.labelled)
        turns = self._draw_turns(batch)
        labels = _turned(batch.labels, turns[:known])
        images = _turned(batch.images, turns)
        with self.autocast(images.device), divided(images) as mine:
            first, second, levels = self.networks(mine)
            both = gathered(first), gathered(second)
            embedded, deepest = gathered(levels[self.level]), gathered(levels[-1])
        logs = [logits.float().log_softmax(1) for logits in both]
        ramp = sigmoid_ramp(progress)
        disagreement = F.mse_loss(logs[0][known:].exp(), logs[1][known:].exp())
        terms = {
            "supervised": self.supervised_loss(logs[0][:known], labels)
            + self.second_weight * self.supervised_loss(logs[1][:known], labels),
            "consistency": self.consistency * ramp * disagreement,
        }
        if self.rotation > 0:
            guess = self.rotation_head(deepest.float().mean((2, 3, 4)))
            terms["rotation"] = self.rotation * F.cross_entropy(guess, turns)
        if self.contrast > 0 and progress >= self.contrast_start:
            limit = (self.certainty + (1 - self.certainty) * ramp) * math.log(self.classes)
            organs, wrong = self._certain_organs(logs, labels, limit)
            found = self.organ_contrast(embedded, organs, wrong, self.random)
            terms["contrast"] = self.contrast * found
        return terms

    def _draw_turns(self, batch: Batch) -> Tensor:
        """(B + U,) quarter turns."""
        count = len(batch.labelled) + len(batch.unlabelled)
        device = batch.labelled.device
        if self.rotation == 0:
            return torch.zeros(count, dtype=torch.int64, device=device)
        smallest = 1 if batch.labelled.shape[-1] == batch.labelled.shape[-2] else 2
        drawn = torch.randint(4 // smallest, (count,), generator=self.random, device=device)
        return drawn * smallest

    @torch.no_grad()
    def _certain_organs(
        self, logs: list[Tensor], labels: Tensor, limit: float
    ) -> tuple[Tensor, Tensor]:
        """On the grid of the features: the organ of every certain voxel, and where it is missed.

        Returns:
            (B + U, D, H, W) int64, 0 for background and uncertain voxels; and bool, whether the
            first decoder says something else.
        """
        grid = slice(None, None, 2**self.level)
        first, second = (log[..., grid, grid, grid] for log in logs)
        mean = torch.logaddexp(first, second) - math.log(2)
        pseudo = hard_labels(mean)[len(labels) :]
        pseudo = torch.where(voxel_entropy(mean[len(labels) :]) > limit, 0, pseudo)
        organs = torch.cat([labels[..., grid, grid, grid], pseudo])
        return organs, hard_labels(first) != organs

    def represent(self, images: Tensor) -> Representation:
        """The first decoder, and the encoder's contrasted features, one per coarse voxel."""
        with self.autocast(images.device):
            first, _, levels = self.networks(images)
        maps, fine = levels[self.level], (len(images), *images.shape[2:])

        def features(voxels: Tensor) -> Tensor:
            coarse = _coarsened(voxels, fine, 2**self.level)
            return self.organ_contrast.head(gather_voxels(maps, coarse))

        return Representation(first.float().log_softmax(1), features)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the first decoder."""
        return self.run(self.networks.network, images).logits.softmax(1)


def _turned(maps: Tensor, turns: Tensor) -> Tensor:
    """Each map rotated by its number of quarter turns in the H-W plane."""
    return torch.stack(
        [patch.rot90(count, (-2, -1)) for patch, count in zip(maps, turns.tolist(), strict=True)]
    )


def _coarsened(voxels: Tensor, shape: tuple[int, ...], factor: int) -> Tensor:
    """Indices (N,) into a batch (B, D, H, W), on a grid with sides ``factor`` times shorter."""
    index, *place = unravel(voxels, shape)
    for axis, side in zip(place, shape[1:], strict=True):
        index = index * (side // factor) + axis // factor
    return index
