"""How the two networks of DVCL teach each other (Eq. 1 to 5)."""

from __future__ import annotations

from torch import Tensor

from dvcl.losses.cross_supervision import cross_supervision
from dvcl.losses.entropy import (
    Selection,
    pseudo_label_weights,
    reliable_in_agreement,
    select_reliable,
)
from dvcl.methods.voxel_sets import Maps


class CrossTeaching:
    """Pseudo-labels of both networks, which of them are reliable, and what the other learns.

    Args:
        classes: K.
        alpha: Eq. 3.
        weighting: Whether unreliable pseudo-labels weigh less (Eq. 4); off, all weigh 1.
        maximum_weight: W_max of Eq. 4.
        weight_log_base: Base of the logarithm of the class count in Eq. 4.
        agreement: Whether voxels with different pseudo-labels are unreliable whatever their
            entropy, which then is all that lowers their weight.
    """

    def __init__(
        self,
        classes: int,
        alpha: float,
        weighting: bool,
        maximum_weight: float,
        weight_log_base: float,
        agreement: bool = False,
    ) -> None:
        self.classes, self.alpha, self.weighting = classes, alpha, weighting
        self.maximum_weight, self.log_base = maximum_weight, weight_log_base
        self.agreement = agreement

    def select(self, logs: Maps) -> list[Selection]:
        """Eq. 1-3, for each network's log-probabilities (U, K, D, H, W)."""
        selections = [select_reliable(log, self.alpha) for log in logs]
        return reliable_in_agreement(selections) if self.agreement else selections

    def loss(self, logs: Maps, selections: list[Selection]) -> Tensor:
        """Eq. 5: each network learns from the other's weighted pseudo-labels."""
        weights = [
            pseudo_label_weights(selection, self.classes, self.maximum_weight, self.log_base)
            if self.weighting
            else None
            for selection in selections
        ]
        a, b = selections
        return cross_supervision(logs[0], b.pseudo_labels, weights[1]) + cross_supervision(
            logs[1], a.pseudo_labels, weights[0]
        )
