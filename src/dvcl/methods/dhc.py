"""DHC: dual-debiased heterogeneous co-training."""

from __future__ import annotations

from torch import Tensor

from dvcl.losses.class_weighted import weighted_cross_entropy, weighted_supervised_loss
from dvcl.losses.pseudo_labels import hard_labels
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.class_statistics import DifficultyWeights, DistributionWeights
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.network_pair import NetworkPair, Start, Use
from dvcl.methods.parts import check_at_least, check_at_most
from dvcl.sampling.batch import Batch


class DHC(Method):
    """Dual-debiased heterogeneous co-training (Wang and Li, MICCAI 2023).

    https://github.com/xmed-lab/DHC. Cross pseudo supervision of two networks that differ by their
    class weights: network A's follow how hard a class is to learn, network B's how rare it is among
    B's own pseudo-labels. All patches teach, the labelled ones too. Predicts with the mean of both
    softmax maps; the official test averages the logits.

    The formulas are the official ones, with their consequences: the most frequent class, mostly
    background, weighs 0 in network B; weights reach K; a class in neither labels nor prediction has
    Dice 1/2, which counts as learning or unlearning. Deviations: the first labelled patches, not
    all labelled cases, start B's weights, which the moving average forgets within some hundred
    steps; equal counts give equal weights instead of NaN; voxels that all weigh 0 cost 0 instead
    of NaN; the supervised loss is half of Dice plus cross-entropy and 1 - Dice instead of -Dice.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: Largest weight of the cross supervision, reached at the end.
        distribution_momentum: Of the moving average of network B's weights.
        smallest_count: Voxels that every class is taken to have at least in B's weights; 1 keeps a
            class that B never predicts from pressing all other weights together.
        difficulty_steps: Over which the moving averages behind network A's weights reach.
        difficulty_power: Of the ratio of unlearning to learning.
        second_start: Initialisation of network B: "kaiming" as network A, or "xavier".
        predict_with: "mean" of both networks, or "A" or "B" alone.
    """

    learns_by = "hard labels of the other network, weighted by how hard and how rare a class is"
    control = "supervised_pair"
    supervised_extra = "its class weights"
    extra_cost = "the second network"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 0.1,
        distribution_momentum: float = 0.99,
        smallest_count: float = 0.0,
        difficulty_steps: int = 50,
        difficulty_power: float = 0.2,
        second_start: Start = "kaiming",
        predict_with: Use = "mean",
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, consistency=consistency, smallest_count=smallest_count,
                       distribution_momentum=distribution_momentum,
                       difficulty_power=difficulty_power)  # fmt: skip
        check_at_least(1, difficulty_steps=difficulty_steps)
        check_at_most(1, distribution_momentum=distribution_momentum)
        self.consistency = consistency
        self.networks = NetworkPair(make_network, second_start, predict_with)
        self.difficulty = DifficultyWeights(classes, difficulty_steps, difficulty_power)
        self.distribution = DistributionWeights(classes, distribution_momentum, smallest_count)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Supervision and cross supervision, each network under its own class weights."""
        a, b = (self.run(network, batch.images).logits.log_softmax(1) for network in self.networks)
        labels_a, labels_b = hard_labels(a), hard_labels(b)
        known = len(batch.labelled)
        weights_a = self.difficulty.update(labels_a[:known], batch.labels)
        weights_b = self.distribution.update(batch.labels, labels_b[known:])
        taught = weighted_cross_entropy(a, labels_b, weights_a) + weighted_cross_entropy(
            b, labels_a, weights_b
        )
        return {
            "supervised": weighted_supervised_loss(a[:known], batch.labels, weights_a)
            + weighted_supervised_loss(b[:known], batch.labels, weights_b),
            "cross_supervision": self.consistency * sigmoid_ramp(progress) * taught,
        }

    def predict(self, images: Tensor) -> Tensor:
        """Mean of both softmax maps, unless one network is asked for."""
        return self.networks.predict(self.run, images)
