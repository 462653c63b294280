"""DTC: dual-task consistency."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from dvcl.losses.dual_task import dual_task_consistency
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.parts import check_at_least
from dvcl.networks.distance_head import DistanceHead
from dvcl.sampling.batch import Batch


class DTC(Method):
    """Semi-supervised Segmentation through Dual-task Consistency (Luo et al., AAAI 2021).

    https://arxiv.org/abs/2009.04448. A second head predicts signed distance maps of the organs; a
    steep sigmoid turns them back into masks, which should agree with the segmentation on all
    patches, labelled and unlabelled. Predicts with the segmentation head.

    The paper segments one organ. Here, and against the authors' code: softmax and the common
    supervised loss instead of a sigmoid with Dice alone; each organ's mask is compared with its
    softmax probability, mean over organs, where the authors advise one binary network per organ,
    which would not be the same network as everyone's; maps of absent and of patch-filling organs
    are +1 and -1 everywhere, as in SASSNet.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        distance: Weight of the supervised distance maps.
        consistency: Largest weight of the dual-task consistency, reached at the end.
        steepness: k of the sigmoid that turns distances into masks; maps have a gradient only where
            their distance is within a few times 1 / k.
    """

    learns_by = "agreement of the segmentation with distance maps"
    extra_cost = "distance maps of the labels"
    supervised_extra = "its distance maps"
    needs_distance_maps = True

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        distance: float = 0.3,
        consistency: float = 1.0,
        steepness: float = 1500.0,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, distance=distance, consistency=consistency)
        check_at_least(1, steepness=steepness)
        self.distance, self.consistency, self.steepness = distance, consistency, steepness
        self.network = make_network("kaiming")
        self.distance_head = DistanceHead(self.network.feature_channels, classes - 1)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Labels and distance maps teach one head each; all patches make the heads agree."""
        assert batch.distance_maps is not None, "the batch was drawn without distance maps"
        known = len(batch.labelled)
        logits, features = self.run(self.network, batch.images)
        with self.autocast(batch.images.device):
            maps = self.distance_head(features)
        logs = logits.log_softmax(1)
        weight = self.consistency * sigmoid_ramp(progress)
        return {
            "supervised": self.supervised_loss(logs[:known], batch.labels),
            "supervised_distance": self.distance * F.mse_loss(maps[:known], batch.distance_maps),
            "consistency": weight * dual_task_consistency(maps, logs.exp(), self.steepness),
        }

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the segmentation head."""
        return self.run(self.network, images).logits.softmax(1)
