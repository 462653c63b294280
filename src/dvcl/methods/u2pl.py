"""U2PL: semi-supervised segmentation with unreliable pseudo-labels."""

from __future__ import annotations

import torch
from torch import Tensor

from dvcl.losses.entropy import voxel_entropy
from dvcl.losses.pseudo_labels import hard_labels
from dvcl.losses.reliable_supervision import percentile, reliable_supervision
from dvcl.methods.cutmix import cut_mix, draw_boxes
from dvcl.methods.method import MakeNetwork, Method, Representation, Terms
from dvcl.methods.negative_contrast import NegativeContrast
from dvcl.methods.parts import check_at_least, check_at_most, check_start
from dvcl.methods.teacher import Teacher
from dvcl.networks.heads import FeatureHead, gather_voxels
from dvcl.sampling.batch import Batch


class U2PL(Method):
    """Unreliable pseudo-labels serve as negatives (Wang et al., CVPR 2022).

    https://arxiv.org/abs/2203.03884. A moving-average teacher labels unlabelled patches. Certain
    voxels supervise the student, whose patches are mixed by CutMix; uncertain ones tell which
    classes they surely are not, and fill a bank of negatives for each class. Predicts with the
    teacher.

    Negatives of class c are those of the paper: labelled voxels of another class that have c among
    their most probable ones, and uncertain unlabelled voxels that do not. The official code also
    asks for c as (pseudo-)label, which leaves labelled negatives empty. Other deviations: banks and
    anchors go by class, not by place among the classes at hand; classes without anchors, centre or
    negatives are skipped, and not counted in the mean; the feature head is a per-voxel MLP on
    sampled voxels; centres are means over samples; anchors are drawn without replacement; 1024 new
    keys per class and step and banks of 8192, background too, where the original keeps all keys in
    banks of 30,000 to 50,000: both hold a few steps; every rank from ``probable_ranks`` on makes a
    negative, where the original ends at 20; percentiles are exact ranks without interpolation;
    contrast weighs 0.1, as the authors advise, not 1; the teacher follows from the first step
    instead of copying the student when the unlabelled patches come in.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        start: Progress before which only the supervised loss is learnt.
        unsupervised: Weight of the pseudo-labels' cross-entropy.
        contrast: Weight of the contrast; 0 switches it off.
        unreliable: Share of unlabelled voxels, by the teacher's entropy, that does not supervise
            and that makes negatives; as large a share, the most certain, makes anchors and
            centres. It falls linearly to 0 at the end.
        confidence: Teacher's probability of its class that an anchor must exceed.
        probable_ranks: Ranks of a voxel's probable classes; at most K - 1.
        anchors: Per class and step.
        negatives: Per anchor, drawn with replacement.
        keys: Voxels per class and step that make a centre, and that enter a bank from labelled and
            from unlabelled patches.
        bank_size: Negatives kept per class.
        temperature: tau.
        cutmix: Probability that a step's unlabelled patches are mixed.
        decay: Of the teacher.
        feature_dimension: d of the feature head.
    """

    learns_by = (
        "a moving average's certain labels; contrast in which uncertain voxels are negatives"
    )
    extra_cost = (
        "one pass of the average on all patches, another on unlabelled ones; a feature head at "
        "sampled voxels"
    )

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        start: float = 0.05,
        unsupervised: float = 1.0,
        contrast: float = 0.1,
        unreliable: float = 0.2,
        confidence: float = 0.3,
        probable_ranks: int = 3,
        anchors: int = 256,
        negatives: int = 50,
        keys: int = 1024,
        bank_size: int = 8192,
        temperature: float = 0.5,
        cutmix: float = 0.5,
        decay: float = 0.99,
        feature_dimension: int = 256,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, unsupervised=unsupervised, contrast=contrast, unreliable=unreliable,
                       cutmix=cutmix, decay=decay)  # fmt: skip
        check_at_least(1, probable_ranks=probable_ranks, anchors=anchors, negatives=negatives,
                       keys=keys, bank_size=bank_size,
                       feature_dimension=feature_dimension)  # fmt: skip
        check_at_least(1e-3, temperature=temperature, confidence=confidence)
        check_at_most(1, cutmix=cutmix, decay=decay)
        check_start(start=start)
        # More, and the certain voxels would be among the uncertain ones.
        check_at_most(0.5, unreliable=unreliable)
        check_at_most(0.999, confidence=confidence)
        self.start, self.unsupervised, self.contrast = start, unsupervised, contrast
        self.unreliable, self.cutmix = unreliable, cutmix
        self.network = make_network("kaiming")
        self.head = FeatureHead(self.network.feature_channels, feature_dimension)
        self.teacher = Teacher(self.network, decay)
        self.teacher_head = Teacher(self.head, decay)
        self.negative_contrast = NegativeContrast(
            classes, feature_dimension, min(probable_ranks, classes - 1), confidence,
            anchors, negatives, keys, bank_size, temperature,
        )  # fmt: skip

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Supervision alone at first; then certain pseudo-labels and contrast, too."""
        if progress < self.start:
            logs = self.run(self.network, batch.labelled).logits.log_softmax(1)
            return {"supervised": self.supervised_loss(logs, batch.labels)}
        known = len(batch.labelled)
        unlabelled, pseudo = self._mixed(batch.unlabelled)
        images = torch.cat([batch.labelled, unlabelled])
        logits, features = self.run(self.network, images)
        labelled_log, unlabelled_log = logits.log_softmax(1).split([known, len(unlabelled)])
        teacher_logits, teacher_features = self.run(self.teacher.network, images)
        teacher_log = teacher_logits.log_softmax(1)
        entropy = voxel_entropy(teacher_log[known:])
        share = self.unreliable * (1 - progress)
        limit = percentile(entropy, 1 - share)
        taught = reliable_supervision(unlabelled_log, pseudo, entropy <= limit)
        terms = {
            "supervised": self.supervised_loss(labelled_log, batch.labels),
            "unsupervised": self.unsupervised * taught,
        }
        if self.contrast > 0:
            terms["contrast"] = self.contrast * self.negative_contrast(
                lambda voxels: self.head(gather_voxels(features, voxels)),
                lambda voxels: self.teacher_head.network(gather_voxels(teacher_features, voxels)),
                teacher_log,
                torch.cat([batch.labels, pseudo]),
                entropy <= percentile(entropy, share),
                entropy >= limit,
                self.random,
            )
        return terms

    def _mixed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Unlabelled patches and the teacher's labels, without its dropout, mixed or not."""
        with self.teacher.without_dropout() as teacher:
            pseudo = hard_labels(self.run(teacher, images).logits)
        if torch.rand((), generator=self.random, device=images.device) >= self.cutmix:
            return images, pseudo
        boxes = draw_boxes(len(images), images.shape[2:], self.random)
        return cut_mix(images, boxes), cut_mix(pseudo, boxes)

    def after_step(self) -> None:
        """Let the teacher and its head follow."""
        self.teacher.follow(self.network)
        self.teacher_head.follow(self.head)

    def represent(self, images: Tensor) -> Representation:
        """The teacher and its feature head."""
        return self.represent_with(self.teacher.network, images, self.teacher_head.network)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the teacher."""
        return self.run(self.teacher.network, images).logits.softmax(1)
