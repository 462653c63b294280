"""UA-MT: a mean teacher that is asked only where it is certain."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dvcl.losses.consistency import squared_difference
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.parts import check_at_least, check_at_most
from dvcl.methods.teacher import Teacher
from dvcl.methods.views import noisy
from dvcl.sampling.batch import Batch


class UAMT(Method):
    """Uncertainty-aware Self-ensembling Model (Yu et al., MICCAI 2019).

    https://arxiv.org/abs/1907.07034. The student's softmax on unlabelled patches should equal that
    of its moving average, at voxels where the entropy of the teacher's mean softmax over several
    passes, each with fresh noise and dropout, is below a threshold that rises to the largest
    possible entropy. Predicts with the student.

    Deviations from the authors' code: the two numbers 2 in it are its class count, so the threshold
    is relative to ln K, and the mean is over K classes (a common port to 14 classes keeps both at
    2). The entropy is exact where the code adds 1e-6 inside the logarithm. The passes run one by
    one and are added up, instead of two at a time and kept: the same draws in less memory. They
    cost as much as eight forward passes of the unlabelled patches.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: Largest weight of the consistency, reached at the end.
        decay: Of the moving average.
        noise: Standard deviation of the noise in the teacher's images.
        noise_limit: Largest absolute value of the noise.
        passes: Of the teacher, to estimate its uncertainty.
        threshold: Entropy relative to ln K below which a voxel is certain, at the start; it rises
            to 1.
    """

    learns_by = "agreement with a moving average of the network where that is certain"
    takes_partial_labels = True
    extra_cost = "9 passes of the average on unlabelled patches (`passes` and one more)"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 0.1,
        decay: float = 0.99,
        noise: float = 0.1,
        noise_limit: float = 0.2,
        passes: int = 8,
        threshold: float = 0.75,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(
            0, consistency=consistency, decay=decay, noise=noise, noise_limit=noise_limit,
            threshold=threshold,
        )  # fmt: skip
        check_at_least(1, passes=passes)
        check_at_most(1, decay=decay, threshold=threshold)
        self.consistency, self.noise, self.noise_limit = consistency, noise, noise_limit
        self.passes, self.threshold = passes, threshold
        self.network = make_network("kaiming")
        self.teacher = Teacher(self.network, decay)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Supervision on labelled patches, consistency where the teacher is certain."""
        ramp = sigmoid_ramp(progress)
        targets = self._teach(batch.unlabelled)
        highest = (self.threshold + (1 - self.threshold) * ramp) * math.log(self.classes)
        certain = self._uncertainty(batch.unlabelled) < highest
        logs = self.run(self.network, batch.images).logits.log_softmax(1)
        labelled, unlabelled = logs.split([len(batch.labelled), len(batch.unlabelled)])
        agreement = squared_difference(unlabelled.exp(), targets, certain)
        return {
            "supervised": self.supervised_loss(labelled, batch.labels, batch.annotated),
            "consistency": self.consistency * ramp * agreement,
        }

    @torch.no_grad()
    def _teach(self, images: Tensor) -> Tensor:
        """The teacher's softmax of one noisy view; its dropout is on, as the student's is."""
        view = noisy(images, self.random, self.noise, self.noise_limit)
        return self.run(self.teacher.network, view).logits.softmax(1)

    @torch.no_grad()
    def _uncertainty(self, images: Tensor) -> Tensor:
        """Entropy (U, D, H, W) of the mean softmax over all passes, in nats."""
        total = self._teach(images)
        for _ in range(self.passes - 1):
            total += self._teach(images)
        return torch.special.entr(total / self.passes).sum(1)

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.follow(self.network)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the student."""
        return self.run(self.network, images).logits.softmax(1)
