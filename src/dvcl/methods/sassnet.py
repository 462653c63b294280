"""SASSNet: shape-aware adversarial learning."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.losses.adversarial import origin_loss
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.parts import check_at_least
from dvcl.networks.discriminator import Discriminator
from dvcl.networks.distance_head import DistanceHead
from dvcl.sampling.batch import Batch


class SASSNet(Method):
    """Shape-aware Semi-supervised 3D Semantic Segmentation (Li et al., MICCAI 2020).

    https://arxiv.org/abs/2007.10732. A second head predicts signed distance maps of the organs; a
    discriminator learns to tell those of labelled patches from those of unlabelled ones, given the
    image too, and the network learns to make the latter pass for the former. Predicts with the
    segmentation head.

    The paper segments one organ. Here, and against the authors' code: softmax and the common
    supervised loss instead of a sigmoid with Dice alone; one distance map per organ, absent organs
    far away everywhere (the code's map of zeros says "boundary everywhere") and organs that fill
    the patch deep inside everywhere (the code divides by zero); the mean over organs. The
    discriminator pools over all positions, so that any patch size fits, and learns from the maps
    that it has just judged: a second pass through the updated network costs a third of a step.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        distance: Weight of the supervised distance maps.
        adversarial: Largest weight of the adversarial loss, reached at the end.
        discriminator_rate: Constant learning rate of the discriminator's Adam.
        discriminator_channels: After its first convolution; the later ones have 2, 4, 8 times as
            many.
    """

    learns_by = "distance maps that a discriminator takes for those of labelled scans"
    extra_cost = "a discriminator on all maps; distance maps of the labels"
    supervised_extra = "its distance maps"
    needs_distance_maps = True

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        distance: float = 0.3,
        adversarial: float = 0.01,
        discriminator_rate: float = 1e-4,
        discriminator_channels: int = 64,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, distance=distance, adversarial=adversarial,
                       discriminator_rate=discriminator_rate)  # fmt: skip
        check_at_least(1, discriminator_channels=discriminator_channels)
        self.distance, self.adversarial = distance, adversarial
        self.adam_rates = {"discriminator": discriminator_rate}
        self.network = make_network("kaiming")
        self.distance_head = DistanceHead(self.network.feature_channels, classes - 1)
        self.discriminator = Discriminator(classes - 1, discriminator_channels)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """What network and heads learn from: labels, distance maps and the discriminator."""
        return next(self.updates(batch, progress))[1]

    def updates(self, batch: Batch, progress: float) -> Iterator[tuple[str, Terms]]:
        """First the network's step, then the discriminator's on the same distance maps."""
        assert batch.distance_maps is not None, "the batch was drawn without distance maps"
        known = len(batch.labelled)
        logits, features = self.run(self.network, batch.images)
        with self.autocast(batch.images.device):
            maps = self.distance_head(features)
            labelled, unlabelled = maps.split([known, len(batch.unlabelled)])
            scores = self.discriminator.judge(unlabelled, batch.unlabelled)
        weight = self.adversarial * sigmoid_ramp(progress)
        yield (
            "network",
            {
                "supervised": self.supervised_loss(logits[:known].log_softmax(1), batch.labels),
                "supervised_distance": self.distance * F.mse_loss(labelled, batch.distance_maps),
                "adversarial": weight * origin_loss(scores, len(scores)),
            },
        )
        with self.autocast(batch.images.device):
            scores = self.discriminator(maps.detach(), batch.images)
        yield "discriminator", {"discriminator": origin_loss(scores, known)}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Network and heads follow the schedule, the discriminator its own rate."""
        return {
            "network": [*self.network.parameters(), *self.distance_head.parameters()],
            "discriminator": list(self.discriminator.parameters()),
        }

    def check_patch(self, patch: tuple[int, int, int]) -> None:
        """Large enough for the discriminator."""
        self.discriminator.check_patch(patch)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the segmentation head."""
        return self.run(self.network, images).logits.softmax(1)
