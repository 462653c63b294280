"""CCL: contrast with complementary labels, on FixMatch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.errors import InputError
from dvcl.losses.complementary import complementary_labels, pair_contrast, pair_masks
from dvcl.losses.confident import Confident, confident_labels
from dvcl.losses.cross_supervision import cross_supervision
from dvcl.losses.voxel_sampling import NOBODY, sample_mask, sample_per_class
from dvcl.methods.method import MakeNetwork, Method, Representation, Terms
from dvcl.methods.parts import check_at_least, check_at_most, check_choice
from dvcl.methods.teacher import Teacher
from dvcl.methods.views import strong
from dvcl.networks.heads import FeatureHead, gather_voxels
from dvcl.sampling.batch import Batch


class CCL(Method):
    """Contrastive complementary labelling (Deng et al., Neural Networks 2024).

    https://arxiv.org/abs/2212.06643. FixMatch, and contrast of voxel features: labelled and
    confident voxels attract their class and repel the others; a doubtful voxel attracts its other
    view and is repelled by the classes that it is least likely of. Predicts with a moving average
    of the network.

    Deviations from the official code, which classifies images. Features come from sampled voxels, a
    confident one in both its views. The loss is divided by the number of positives, as in
    supervised contrast; the code divides by all rows, so that the loss shrinks the more
    voxels are drawn. The projection is that of DVCL here. Strong views change intensities only, and
    the weak view is the patch itself. The supervised loss is that of all methods here.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: Weight of FixMatch's cross-entropy on strong views.
        contrast: Weight of the contrast.
        cutoff: Probability from which pseudo-labels are believed.
        complementary: Share of the classes that a doubtful voxel is not; rounded down.
        confident: Most confident or labelled voxels per class and step.
        doubtful: Most doubtful voxels per step.
        temperature: Of the contrast.
        divide_by: "positives" of each row, or all "rows" as in the official code.
        feature_dimension: Of the projection.
        decay: Of the moving average that predicts.
        jitter: Of contrast and brightness in strong views; see `views.strong`.
    """

    learns_by = "confident pseudo-labels; contrast with the classes that a voxel is not"
    extra_cost = "a strong view of unlabelled patches; a feature head at sampled voxels"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 1.0,
        contrast: float = 1.0,
        cutoff: float = 0.95,
        complementary: float = 0.7,
        confident: int = 64,
        doubtful: int = 512,
        temperature: float = 0.07,
        divide_by: Literal["positives", "rows"] = "positives",
        feature_dimension: int = 64,
        decay: float = 0.999,
        jitter: float = 0.3,
    ) -> None:
        super().__init__(make_network, classes)
        check_choice("divide_by", divide_by, ("positives", "rows"))
        check_at_least(0, consistency=consistency, contrast=contrast, cutoff=cutoff,
                       complementary=complementary, decay=decay, jitter=jitter)  # fmt: skip
        check_at_least(1, confident=confident, doubtful=doubtful,
                       feature_dimension=feature_dimension)  # fmt: skip
        check_at_least(1e-3, temperature=temperature)
        check_at_most(1, cutoff=cutoff, complementary=complementary, decay=decay, jitter=jitter)
        self.unlike = int(complementary * classes)
        if not 1 <= self.unlike < classes:
            raise InputError(
                f"method.complementary: {complementary} of {classes} classes found, which is "
                f"{self.unlike}; 1 to {classes - 1} expected."
            )
        self.consistency, self.contrast, self.cutoff = consistency, contrast, cutoff
        self.confident, self.doubtful, self.jitter = confident, doubtful, jitter
        self.temperature = temperature
        self.divide_by: Literal["positives", "rows"] = divide_by
        self.network = make_network("kaiming")
        self.average = Teacher(self.network, decay)
        self.projection = FeatureHead(self.network.feature_channels, feature_dimension)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """FixMatch and the contrast."""
        views = torch.cat([batch.images, strong(batch.unlabelled, self.random, self.jitter)])
        logits, features = self.run(self.network, views)
        sizes = [len(batch.labelled), *[len(batch.unlabelled)] * 2]
        labelled, weak, hard = logits.log_softmax(1).split(sizes)
        believed = confident_labels(weak, self.cutoff)
        taught = cross_supervision(hard, believed.labels, believed.mask.float())
        contrast = self._contrast(features, batch.labels, weak, believed)
        return {
            "supervised": self.supervised_loss(labelled, batch.labels),
            "consistency": self.consistency * taught,
            "contrast": self.contrast * contrast,
        }

    def _contrast(
        self, features: Tensor, labels: Tensor, weak: Tensor, believed: Confident
    ) -> Tensor:
        """Voxels are counted over labelled patches, weak views, strong views."""
        known, size = labels.numel(), believed.labels.numel()
        pseudo = torch.where(believed.mask, believed.labels, NOBODY)
        codes = torch.cat([labels, pseudo]).to(torch.uint8)
        sure, classes, _ = sample_per_class(codes, self.classes, self.confident, self.random)
        doubtful = sample_mask(~believed.mask, self.doubtful, self.random)
        has_two_views = (sure >= known).nonzero().squeeze(1)
        voxels = [sure, sure[has_two_views] + size, doubtful + known, doubtful + known + size]
        rows = self.projection(gather_voxels(features, torch.cat(voxels)))
        unlike = complementary_labels(gather_voxels(weak, doubtful), self.unlike)
        positives, allowed = pair_masks(torch.cat([classes, classes[has_two_views]]), unlike)
        unit = F.normalize(rows, dim=1)
        return pair_contrast(unit, positives, allowed, self.temperature, self.divide_by)

    def after_step(self) -> None:
        """Move the average."""
        self.average.follow(self.network)

    def represent(self, images: Tensor) -> Representation:
        """The network and the projection that learns with it, not the average."""
        return self.represent_with(self.network, images, self.projection)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the moving average."""
        return self.run(self.average.network, images).logits.softmax(1)
