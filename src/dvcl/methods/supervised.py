"""The supervised baseline: one network, labelled patches only."""

from __future__ import annotations

from torch import Tensor

from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.sampling.batch import Batch


class Supervised(Method):
    """3-D U-Net on the labelled cases alone (Cicek et al., MICCAI 2016).

    https://arxiv.org/abs/1606.06650. The "Fully" row of DVCL's tables, and a lower bound: it sees
    the labelled share of the other methods' batches, for as many steps, and nothing of the
    unlabelled patches. Loss: (Dice + cross-entropy) / 2. Predicts with its only network.
    """

    learns_by = "nothing: the lower bound"
    takes_partial_labels = True
    extra_cost = "none, and no unlabelled patches"
    needs_unlabelled = False

    def __init__(self, make_network: MakeNetwork, classes: int) -> None:
        super().__init__(make_network, classes)
        self.network = make_network("kaiming")

    def losses(self, batch: Batch, progress: float) -> Terms:
        """The supervised loss."""
        log_probabilities = self.run(self.network, batch.labelled).logits.log_softmax(1)
        return {
            "supervised": self.supervised_loss(log_probabilities, batch.labels, batch.annotated)
        }

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the network."""
        return self.run(self.network, images).logits.softmax(1)
