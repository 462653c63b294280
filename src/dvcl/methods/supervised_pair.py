"""The second baseline: two networks, labelled patches only."""

from __future__ import annotations

from torch import Tensor

from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.network_pair import NetworkPair, Start, Use
from dvcl.sampling.batch import Batch


class SupervisedPair(Method):
    """Two networks on the labelled cases alone (Lakshminarayanan et al., NeurIPS 2017).

    https://arxiv.org/abs/1612.01474. A method of two networks without its unlabelled terms: what
    it gains beyond this row the unlabelled scans have brought, and what this row gains beyond
    `supervised` the second network. Both see the same patches, as in CPS and DVCL, and differ by
    their initialisation; the original's members see the data in orders of their own. Loss: the sum
    of both networks' (Dice + cross-entropy) / 2. Predicts with the mean of both softmax maps.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        second_start: Initialisation of network B: "xavier", or "kaiming" as network A.
        predict_with: "mean" of both networks, or "A" or "B" alone.
    """

    learns_by = "nothing: what a second network alone is worth"
    takes_partial_labels = True
    control = "supervised_pair"
    extra_cost = "the second network, and no unlabelled patches"
    needs_unlabelled = False

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        second_start: Start = "xavier",
        predict_with: Use = "mean",
    ) -> None:
        super().__init__(make_network, classes)
        self.networks = NetworkPair(make_network, second_start, predict_with)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """The sum of both networks' supervised losses."""
        ((_, terms),) = self.supervised_updates(batch)
        return terms

    def predict(self, images: Tensor) -> Tensor:
        """Mean of both softmax maps, unless one network is asked for."""
        return self.networks.predict(self.run, images)
