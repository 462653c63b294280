"""CLD: calibrating the label distribution of cross pseudo supervision."""

from __future__ import annotations

import torch
from torch import Tensor

from dvcl.losses.class_sums import counts_per_class
from dvcl.losses.class_weighted import weighted_supervised_loss
from dvcl.losses.class_weights import rarity_weights
from dvcl.losses.cross_supervision import cross_supervision
from dvcl.losses.pseudo_labels import hard_labels
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.class_statistics import ConfidenceBank
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.network_pair import NetworkPair, Start, Use
from dvcl.methods.parts import check_at_least, check_at_most
from dvcl.sampling.batch import Batch


class CLD(Method):
    """Calibrating label distribution for class-imbalanced knees (Lin et al., MICCAI 2022).

    https://github.com/xmed-lab/CLD-Semi. Cross pseudo supervision in which rare classes weigh more
    and confident ones are thinned out: of the voxels that the learning network calls class c, a
    share that falls with its confidence in c is kept. All patches teach, the labelled ones too; the
    cross-entropy is the mean over all voxels, dropped ones included. Predicts with the mean of both
    softmax maps; the official test takes one network.

    Deviations: voxels are counted in the labelled patches drawn so far, instead of all labelled
    cases beforehand, and a class not yet drawn weighs as the rarest one drawn; a class that a
    window lacks keeps its confidence, which the official code averages with 0; before the first
    window ends nothing is thinned out, where the official code starts from random confidences. The
    supervised loss is half of Dice plus cross-entropy and 1 - Dice instead of -Dice. Crops centred
    along the depth, made for knees, are left out.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: Largest weight of the cross supervision, reached at the end.
        rarity_power: Class weights are (largest count / count) to this power.
        rate_power: Sampling rates are the relative doubt to this power; 0 keeps every voxel.
        window: Steps whose labelled voxels make one update of the confidence.
        momentum: Of the confidence's moving average.
        second_start: Initialisation of network B: "xavier", or "kaiming" as network A.
        predict_with: "mean" of both networks, or "A" or "B" alone.
    """

    learns_by = (
        "hard labels of the other network, rare classes weighing more, confident ones thinned out"
    )
    control = "supervised_pair"
    supervised_extra = "its class weights"
    extra_cost = "the second network"
    counts: Tensor

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 0.1,
        rarity_power: float = 1 / 3,
        rate_power: float = 0.5,
        window: int = 2,
        momentum: float = 0.999,
        second_start: Start = "xavier",
        predict_with: Use = "mean",
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, consistency=consistency, rarity_power=rarity_power,
                       rate_power=rate_power, momentum=momentum)  # fmt: skip
        check_at_least(1, window=window)
        check_at_most(1, momentum=momentum)
        self.consistency = consistency
        self.rarity_power, self.rate_power = rarity_power, rate_power
        self.networks = NetworkPair(make_network, second_start, predict_with)
        self.bank_a = ConfidenceBank(classes, window, momentum)
        self.bank_b = ConfidenceBank(classes, window, momentum)
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Weighted supervision of both networks, thinned cross supervision in both directions."""
        self.counts += counts_per_class(batch.labels, self.classes)
        weights = rarity_weights(self.counts, self.rarity_power)
        logs = [self.run(network, batch.images).logits.log_softmax(1) for network in self.networks]
        labels = [hard_labels(log) for log in logs]
        known = len(batch.labelled)
        kept = []
        for bank, log, mine in zip((self.bank_a, self.bank_b), logs, labels, strict=True):
            bank.record(log[:known].detach().exp(), batch.labels)
            rates = bank.sampling_rates(self.rate_power)
            chance = torch.rand(mine.shape, generator=self.random, device=mine.device)
            kept.append(chance < rates[mine])
        a, b = labels
        taught = cross_supervision(logs[0], b, weights[b] * kept[0]) + cross_supervision(
            logs[1], a, weights[a] * kept[1]
        )
        supervised_a, supervised_b = (
            weighted_supervised_loss(log[:known], batch.labels, weights) for log in logs
        )
        return {
            "supervised": supervised_a + supervised_b,
            "cross_supervision": self.consistency * sigmoid_ramp(progress) * taught,
        }

    def predict(self, images: Tensor) -> Tensor:
        """Mean of both softmax maps, unless one network is asked for."""
        return self.networks.predict(self.run, images)
