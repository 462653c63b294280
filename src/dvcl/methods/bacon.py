"""BaCon: a balanced auxiliary classifier and balanced feature-level contrast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from dvcl.losses.class_balance import balanced_cross_entropy, draw_kept, keep_rates
from dvcl.losses.class_sums import counts_per_class
from dvcl.losses.confident import confident_labels
from dvcl.losses.cross_supervision import cross_supervision
from dvcl.methods.balanced_contrast import BalancedContrast
from dvcl.methods.method import MakeNetwork, Method, Representation, Terms
from dvcl.methods.parts import check_at_least, check_at_most, check_choice, check_start
from dvcl.methods.teacher import Teacher
from dvcl.methods.views import strong
from dvcl.networks import SegmentationNetwork
from dvcl.networks.heads import gather_voxels
from dvcl.networks.network import Prediction
from dvcl.sampling.batch import Batch


class TwoClassifiers(nn.Module):
    """A network and an auxiliary classifier on its last features; logits (B, 2 K, D, H, W)."""

    def __init__(self, network: SegmentationNetwork, classes: int) -> None:
        super().__init__()
        self.network = network
        self.auxiliary = nn.Conv3d(network.feature_channels, classes, 1)

    def forward(self, images: Tensor) -> Prediction:
        """Logits of the network's own classifier, then of the auxiliary one."""
        logits, features = self.network(images)
        return Prediction(torch.cat([logits, self.auxiliary(features)], dim=1), features)


class BaCon(Method):
    """Balanced feature-level contrastive learning (Feng et al., AAAI 2024).

    https://arxiv.org/abs/2403.12986. FixMatch on the network's classifier; an auxiliary classifier
    that learns from as many voxels of every class; and, later, contrast that draws confident voxels
    to the centre of their class and pushes them from voxels that are surely of another one.
    Predicts with the auxiliary classifier of a moving average. Made for test images with as many of
    every class, it finds far too much of what is rare in a volume (docs/experiments.md).

    The original classifies images; voxels ask for these deviations. A class's centre is the mean of
    its last anchors, this step's included, instead of one feature per training image; its frequency
    is a moving average of its anchors' number. Anchors are labelled voxels that are predicted right
    and unlabelled ones that are confident, up to a number per class, so that the mean over them is
    nearly balanced. Negatives are drawn uniformly from all voxels; each anchor has its own mean
    over them, where the code has one for all; of K classes at most K - 1 are possible for an
    unlabelled voxel, or three classes would leave it no use. The auxiliary loss is divided by the
    voxels that are kept: by all, a balanced sample of a thousandth would hardly teach. Label counts
    are those met so far. Probabilities, not logits, are compared with the cut-offs. The projection
    is the two-layer one of DVCL here; strong views change intensities only; the supervised loss is
    that of all methods here.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: Weight of FixMatch's cross-entropy on strong views.
        balanced: Weight of the auxiliary classifier's two terms.
        contrast: Weight of the contrast.
        contrast_start: Progress at which the contrast begins.
        cutoff: Probability from which pseudo-labels are believed.
        anchor_cutoff: Probability of the auxiliary classifier that makes unlabelled anchors.
        anchors: Most anchors per class and step.
        negatives: Voxels drawn per step, of which every class takes those surely of another one.
        negative_weight: What the mean over negatives counts beside the positive.
        possible: An unlabelled voxel may be of its so many most probable classes.
        temperature: Of negatives, and of positives at the end.
        temperature_spread: How much lower that of the most frequent class begins.
        bank_size: Features kept per class for its centre.
        feature_dimension: Of the projection.
        decay: Of the moving average that predicts.
        jitter: Of contrast and brightness in strong views; see `views.strong`.
        predict_with: "auxiliary" classifier, or "main".
    """

    learns_by = "confident pseudo-labels, as many of every class; contrast with class centres"
    supervised_extra = "its second classifier"
    extra_cost = (
        "a strong view of unlabelled patches; a second classifier; a feature head at sampled voxels"
    )
    counts: Tensor

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 1.0,
        balanced: float = 1.0,
        contrast: float = 1.0,
        contrast_start: float = 0.5,
        cutoff: float = 0.95,
        anchor_cutoff: float = 0.98,
        anchors: int = 256,
        negatives: int = 2048,
        negative_weight: float = 64.0,
        possible: int = 3,
        temperature: float = 0.1,
        temperature_spread: float = 0.0005,
        bank_size: int = 2048,
        feature_dimension: int = 16,
        decay: float = 0.999,
        jitter: float = 0.3,
        predict_with: Literal["auxiliary", "main"] = "auxiliary",
    ) -> None:
        super().__init__(make_network, classes)
        check_choice("predict_with", predict_with, ("auxiliary", "main"))
        check_at_least(0, consistency=consistency, balanced=balanced, contrast=contrast,
                       cutoff=cutoff, anchor_cutoff=anchor_cutoff, decay=decay, jitter=jitter,
                       temperature_spread=temperature_spread)  # fmt: skip
        check_at_least(1, anchors=anchors, negatives=negatives, possible=possible,
                       bank_size=bank_size, feature_dimension=feature_dimension)  # fmt: skip
        check_at_least(1e-3, negative_weight=negative_weight, temperature=temperature)
        # The lowest temperature that the most frequent class gets.
        check_at_most(temperature - 1e-3, temperature_spread=temperature_spread)
        check_at_most(1, cutoff=cutoff, anchor_cutoff=anchor_cutoff, decay=decay, jitter=jitter)
        check_start(contrast_start=contrast_start)
        self.consistency, self.balanced, self.contrast = consistency, balanced, contrast
        self.contrast_start, self.cutoff, self.jitter = contrast_start, cutoff, jitter
        self.predict_with = predict_with
        self.student = TwoClassifiers(make_network("kaiming"), classes)
        self.average = Teacher(self.student, decay)
        self.feature_contrast = BalancedContrast(
            classes, self.student.network.feature_channels, dimension=feature_dimension,
            anchors=anchors, negatives=negatives, negative_weight=negative_weight,
            possible=min(possible, classes - 1), cutoff=anchor_cutoff, temperature=temperature,
            spread=temperature_spread, bank_size=bank_size,
        )  # fmt: skip
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))

    def losses(self, batch: Batch, progress: float) -> Terms:
        """FixMatch, the balanced classifier's two terms, and the contrast once it has begun."""
        views = torch.cat([batch.images, strong(batch.unlabelled, self.random, self.jitter)])
        logits, features = self.run(self.student, views)
        main, auxiliary = (part.log_softmax(1) for part in logits.chunk(2, 1))
        sizes = [len(batch.labelled), *[len(batch.unlabelled)] * 2]
        labelled, weak, hard = main.split(sizes)
        balanced_labelled, balanced_weak, balanced_hard = auxiliary.split(sizes)
        rates = self._keep_rates(batch.labels)
        believed = confident_labels(weak, self.cutoff)
        balanced_believed = confident_labels(balanced_weak, self.cutoff)
        # Ever fewer voxels of frequent classes are kept, so that early learning sees them all.
        kept = draw_kept(balanced_believed.labels, 1 - progress * (1 - rates), self.random)
        terms = {
            "supervised": self.supervised_loss(labelled, batch.labels),
            "supervised_balanced": self.balanced
            * balanced_cross_entropy(
                balanced_labelled, batch.labels, draw_kept(batch.labels, rates, self.random)
            ),
            "consistency": self.consistency
            * cross_supervision(hard, believed.labels, believed.mask.float()),
            "balanced_consistency": self.balanced
            * balanced_cross_entropy(
                balanced_hard, balanced_believed.labels, kept, balanced_believed.mask
            ),
        }
        if progress >= self.contrast_start:
            terms["contrast"] = self.contrast * self.feature_contrast(
                balanced_labelled, balanced_weak, batch.labels, features, progress, self.random
            )
        return terms

    def supervised_updates(self, batch: Batch) -> Iterator[tuple[str, Terms]]:
        """Both classifiers learn, since the auxiliary one predicts."""
        logits = self.run(self.student, batch.labelled).logits
        losses = [
            self.supervised_loss(part.log_softmax(1), batch.labels) for part in logits.chunk(2, 1)
        ]
        yield "network", {"supervised": torch.stack(losses).sum()}

    def _keep_rates(self, labels: Tensor) -> Tensor:
        self.counts += counts_per_class(labels, self.classes)
        return keep_rates(self.counts)

    def after_step(self) -> None:
        """Move the average."""
        self.average.follow(self.student)

    def represent(self, images: Tensor) -> Representation:
        """The auxiliary classifier, which chooses what is contrasted, and the projection."""
        logits, maps = self.run(self.student, images)
        return Representation(
            logits.chunk(2, 1)[1].log_softmax(1),
            lambda voxels: self.feature_contrast.projection(gather_voxels(maps, voxels)),
        )

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the averaged auxiliary classifier, or of the main one."""
        main, auxiliary = self.run(self.average.network, images).logits.chunk(2, 1)
        return (main if self.predict_with == "main" else auxiliary).softmax(1)
