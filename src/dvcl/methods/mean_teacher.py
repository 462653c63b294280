"""Mean teacher: consistency with a moving average of the network."""

from __future__ import annotations

import torch
from torch import Tensor

from dvcl.losses.consistency import squared_difference
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.parts import check_at_least, check_at_most
from dvcl.methods.teacher import Teacher
from dvcl.methods.views import noisy
from dvcl.sampling.batch import Batch


class MeanTeacher(Method):
    """Mean teachers are better role models (Tarvainen and Valpola, NeurIPS 2017).

    https://arxiv.org/abs/1703.01780. The student's softmax on unlabelled patches should equal that
    of the teacher, a moving average of the student that sees the same patches with noise. The 3-D
    form of SSL4MIS: consistency on the unlabelled patches only, where the original uses all.
    Predicts with the student, which that code validates and tests.

    As there, the squared difference is a mean over classes too, so that the term is weaker the more
    classes there are. The noise is meant for images of unit variance, and strong for others.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: Largest weight of the consistency, reached at the end.
        decay: Of the moving average.
        noise: Standard deviation of the noise in the teacher's images.
        noise_limit: Largest absolute value of the noise.
    """

    learns_by = "agreement with a moving average of the network on noisy patches"
    takes_partial_labels = True
    extra_cost = "one pass of the average on unlabelled patches"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 0.1,
        decay: float = 0.99,
        noise: float = 0.1,
        noise_limit: float = 0.2,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(
            0, consistency=consistency, decay=decay, noise=noise, noise_limit=noise_limit
        )
        check_at_most(1, decay=decay)
        self.consistency, self.noise, self.noise_limit = consistency, noise, noise_limit
        self.network = make_network("kaiming")
        self.teacher = Teacher(self.network, decay)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Supervision on labelled, consistency on unlabelled patches."""
        with torch.no_grad():
            images = noisy(batch.unlabelled, self.random, self.noise, self.noise_limit)
            targets = self.run(self.teacher.network, images).logits.softmax(1)
        logs = self.run(self.network, batch.images).logits.log_softmax(1)
        labelled, unlabelled = logs.split([len(batch.labelled), len(batch.unlabelled)])
        weight = self.consistency * sigmoid_ramp(progress)
        return {
            "supervised": self.supervised_loss(labelled, batch.labels, batch.annotated),
            "consistency": weight * squared_difference(unlabelled.exp(), targets),
        }

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.follow(self.network)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the student."""
        return self.run(self.network, images).logits.softmax(1)
