"""How the two networks of DVCL teach each other (Eq. 1 to 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from dvcl.losses.cross_supervision import cross_supervision
from dvcl.losses.entropy import (
    Selection,
    pseudo_label_weights,
    reliable_in_agreement,
    select_reliable,
)
from dvcl.methods.teacher import Teacher
from dvcl.methods.views import strong
from dvcl.methods.voxel_sets import Maps
from dvcl.networks.network import Prediction

Run = Callable[[nn.Module, Tensor], Prediction]


class CrossTeaching(nn.Module):
    """Pseudo-labels of both networks, which of them are reliable, and what the other learns.

    Not the paper's, and off at 0: moving averages that teach are those of mutual mean teaching (Ge
    et al., ICLR 2020, https://arxiv.org/abs/2001.01526), here by hard labels; strong views are
    those of FixMatch (Sohn et al., NeurIPS 2020, https://arxiv.org/abs/2001.07685).

    Args:
        networks: A and B.
        classes: K.
        alpha: Eq. 3.
        weighting: Whether unreliable pseudo-labels weigh less (Eq. 4); off, all weigh 1.
        maximum_weight: W_max of Eq. 4.
        weight_log_base: Base of the logarithm of the class count in Eq. 4.
        agreement: Whether voxels with different pseudo-labels are unreliable whatever their
            entropy, which then is all that lowers their weight.
        decay: Of a moving average of each network, which then makes the pseudo-labels in its place,
            without dropout; 0 has no averages.
        jitter: Of the view that the networks learn from, see `views.strong`; pseudo-labels are made
            of the patches as they are. 0 has one view.
    """

    def __init__(
        self,
        networks: Iterable[nn.Module],
        classes: int,
        *,
        alpha: float,
        weighting: bool,
        maximum_weight: float,
        weight_log_base: float,
        agreement: bool,
        decay: float,
        jitter: float,
    ) -> None:
        super().__init__()
        self.classes, self.alpha, self.weighting = classes, alpha, weighting
        self.maximum_weight, self.log_base = maximum_weight, weight_log_base
        self.agreement, self.jitter = agreement, jitter
        self.averages = nn.ModuleList(Teacher(network, decay) for network in networks if decay > 0)

    def view(self, images: Tensor, random: torch.Generator) -> Tensor:
        """What the networks learn from of the unlabelled patches ``images`` (U, 1, D, H, W)."""
        return strong(images, random, self.jitter) if self.jitter > 0 else images

    def select(
        self, run: Run, networks: Iterable[nn.Module], images: Tensor, logs: Maps
    ) -> list[Selection]:
        """Eq. 1-3 for both networks.

        Args:
            run: `Method.run`.
            networks: A and B.
            images: (U, 1, D, H, W), the patches as they are.
            logs: (U, K, D, H, W), what the networks say of their view of them.
        """
        if self.averages or self.jitter > 0:
            logs = self._ask(run, networks, images)
        selections = [select_reliable(log, self.alpha) for log in logs]
        return reliable_in_agreement(selections) if self.agreement else selections

    @torch.no_grad()
    def _ask(self, run: Run, networks: Iterable[nn.Module], images: Tensor) -> Maps:
        """What the averages say, or the networks where there are none."""
        if not self.averages:
            return tuple(run(network, images).logits.log_softmax(1) for network in networks)
        logs = []
        for average in cast("Iterable[Teacher]", self.averages):
            with average.without_dropout() as network:
                logs.append(run(network, images).logits.log_softmax(1))
        return tuple(logs)

    def follow(self, networks: Iterable[nn.Module]) -> None:
        """Move the averages towards their networks, where there are averages."""
        if self.averages:
            averages = cast("Iterable[Teacher]", self.averages)
            for average, network in zip(averages, networks, strict=True):
                average.follow(network)

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
