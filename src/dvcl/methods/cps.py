"""Cross pseudo supervision."""

from __future__ import annotations

from torch import Tensor

from dvcl.losses.cross_supervision import cross_supervision
from dvcl.losses.pseudo_labels import hard_labels
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.network_pair import NetworkPair, Start, Use
from dvcl.methods.parts import check_at_least
from dvcl.sampling.batch import Batch


class CPS(Method):
    """Two networks teach each other with their hard labels (Chen et al., CVPR 2021).

    https://arxiv.org/abs/2106.01226. The 3-D form of SSL4MIS: cross-entropy on the unlabelled
    patches only, its weight ramped up over the whole training, where the original uses all pixels
    at the fixed weight 1.5. Both networks see the same crop and differ by their initialisation.
    This is DVCL's baseline: its Eq. 5 with all weights 1. Predicts with the mean of both softmax
    maps.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: Largest weight of the cross supervision, reached at the end.
        second_start: Initialisation of network B: "xavier" (S4M), or "kaiming" as network A (the
            original).
        predict_with: "mean" of both networks, or "A" or "B" alone.
    """

    learns_by = "hard labels of the other network"
    takes_partial_labels = True
    control = "supervised_pair"
    extra_cost = "the second network"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 0.1,
        second_start: Start = "xavier",
        predict_with: Use = "mean",
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, consistency=consistency)
        self.consistency = consistency
        self.networks = NetworkPair(make_network, second_start, predict_with)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Supervision of both networks and cross supervision in both directions."""
        a, b = (self.run(network, batch.images).logits.log_softmax(1) for network in self.networks)
        sizes = [len(batch.labelled), len(batch.unlabelled)]
        (a_labelled, a_unlabelled), (b_labelled, b_unlabelled) = a.split(sizes), b.split(sizes)
        weight = self.consistency * sigmoid_ramp(progress)
        taught = cross_supervision(a_unlabelled, hard_labels(b_unlabelled)) + cross_supervision(
            b_unlabelled, hard_labels(a_unlabelled)
        )
        return {
            "supervised": self.supervised_loss(a_labelled, batch.labels, batch.annotated)
            + self.supervised_loss(b_labelled, batch.labels, batch.annotated),
            "cross_supervision": weight * taught,
        }

    def predict(self, images: Tensor) -> Tensor:
        """Mean of both softmax maps, unless one network is asked for."""
        return self.networks.predict(self.run, images)
