"""DAN: a deep adversarial network."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from dvcl.losses.adversarial import origin_loss
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.parts import check_at_least
from dvcl.networks.discriminator import Discriminator
from dvcl.sampling.batch import Batch


class DAN(Method):
    """Deep Adversarial Networks for Biomedical Image Segmentation (Zhang et al., MICCAI 2017).

    https://doi.org/10.1007/978-3-319-66179-7_47. A discriminator learns to tell softmax maps of
    labelled patches from those of unlabelled ones, given the image too; the segmentation network
    learns to make its maps of unlabelled patches pass for labelled ones. The form and the numbers
    are those of SSL4MIS' 3-D code. Predicts with the segmentation network.

    Deviations from that code: the discriminator pools over all positions, so that any patch size
    fits, and counts labelled and unlabelled patches instead of expecting two of each. It learns
    from the maps that it has just judged, instead of from a second pass through the updated
    network without dropout: that saves a pass per step, and it learns on the kind of map that it
    is asked about.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        adversarial: Largest weight of the adversarial loss, reached at the end.
        discriminator_rate: Constant learning rate of the discriminator's Adam.
        discriminator_channels: After its first convolution; the later ones have 2, 4, 8 times as
            many.
    """

    learns_by = "maps that a discriminator takes for those of labelled scans"
    takes_partial_labels = True
    extra_cost = "a discriminator on all maps"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        adversarial: float = 0.1,
        discriminator_rate: float = 1e-4,
        discriminator_channels: int = 64,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, adversarial=adversarial, discriminator_rate=discriminator_rate)
        check_at_least(1, discriminator_channels=discriminator_channels)
        self.adversarial = adversarial
        self.adam_rates = {"discriminator": discriminator_rate}
        self.network = make_network("kaiming")
        self.discriminator = Discriminator(classes, discriminator_channels)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """What the segmentation network learns from: supervision and the discriminator."""
        return next(self.updates(batch, progress))[1]

    def updates(self, batch: Batch, progress: float) -> Iterator[tuple[str, Terms]]:
        """First the segmentation network's step, then the discriminator's on the same maps."""
        known = len(batch.labelled)
        logs = self.run(self.network, batch.images).logits.log_softmax(1)
        labelled, unlabelled = logs.split([known, len(batch.unlabelled)])
        with self.autocast(batch.images.device):
            scores = self.discriminator.judge(unlabelled.exp(), batch.unlabelled)
        weight = self.adversarial * sigmoid_ramp(progress)
        yield (
            "network",
            {
                "supervised": self.supervised_loss(labelled, batch.labels, batch.annotated),
                "adversarial": weight * origin_loss(scores, len(scores)),
            },
        )
        with self.autocast(batch.images.device):
            scores = self.discriminator(logs.detach().exp(), batch.images)
        yield "discriminator", {"discriminator": origin_loss(scores, known)}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The network follows the schedule, the discriminator its own rate."""
        return {
            "network": list(self.network.parameters()),
            "discriminator": list(self.discriminator.parameters()),
        }

    def check_patch(self, patch: tuple[int, int, int]) -> None:
        """Large enough for the discriminator."""
        self.discriminator.check_patch(patch)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the segmentation network."""
        return self.run(self.network, images).logits.softmax(1)
