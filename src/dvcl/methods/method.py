"""What a training method is: losses of a batch, what is optimised, and what predicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dvcl.losses.supervised import SupervisedLoss
from dvcl.networks import SegmentationNetwork
from dvcl.networks.heads import gather_voxels
from dvcl.networks.network import Prediction
from dvcl.networks.sharing import divided, gathered
from dvcl.sampling.batch import Batch

Terms = dict[str, Tensor]
MakeNetwork = Callable[[str], SegmentationNetwork]
Rows = Callable[[Tensor], Tensor]


class Representation(NamedTuple):
    """How one network of a method sees a batch.

    Attributes:
        log_probabilities: (B, K, D, H, W) float32.
        features: From voxels (N,) int64, counted over all B * D * H * W, to their features (N, d)
            float32, not normalised.
    """

    log_probabilities: Tensor
    features: Rows


class Method(nn.Module, ABC):
    """One way to learn from labelled and unlabelled patches.

    A method inherits this class directly, never another method. The keyword arguments of its
    constructor are its settings, with the defaults of its paper. Everything that must survive an
    interruption is a parameter or a buffer.

    Args:
        make_network: Builds a network; takes the initialisation scheme ("kaiming", "xavier").
        classes: K, the background included.

    Attributes:
        precision: Autocast type of the networks, None for float32. Losses are always float32.
        supervised_loss: Of every network's labelled patches; methods with class weights of their
            own (CLD, DHC) use it only where they learn from labelled patches alone.
        random: Generator for what the method itself draws, on the method's device.
        worked_on: What terms of the last step found to work on, for the journal: "TERM THING" and
            how many. Only numbers that the step has on the host anyway.
        needs_unlabelled: Whether the method is pointless without unlabelled cases.
        needs_distance_maps: Whether batches carry signed distance maps of the labels.
        control: The baseline that trains as many networks: what the method has without unlabelled
            scans.
        supervised_extra: What its supervised terms have beyond the control's, in a few words. Who
            asks what the unlabelled scans were worth is told that this is in the answer too.
        takes_partial_labels: Whether labels enter `supervised_loss` alone, which can leave out
            organs that a case does not annotate.
        adam_rates: Parameter groups that Adam trains at this constant rate; all others follow the
            schedule. Discriminators need it.
        learns_by: How unlabelled scans teach, in a few words for `dvcl methods`.
        extra_cost: Of a step, beyond one network that is trained on all patches.
    """

    learns_by: str
    extra_cost: str
    needs_unlabelled = True
    needs_distance_maps = False
    takes_partial_labels = False
    control = "supervised"
    supervised_extra = ""
    adam_rates: Mapping[str, float] = {}

    def __init__(self, make_network: MakeNetwork, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.precision: torch.dtype | None = None
        self.supervised_loss = SupervisedLoss()
        self.random = torch.Generator()
        self.worked_on: dict[str, int] = {}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Method:
        """Every move to a device: single numbers, which count steps and rows, stay on the host.

        It asks for them in every step, and would wait for the device each time.
        """
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for part in self.modules():
            numbers = {
                name: number
                for name, number in part._buffers.items()
                if number is not None and number.dim() == 0
            }
            part._buffers.update({name: number.cpu() for name, number in numbers.items()})
        return self

    @abstractmethod
    def losses(self, batch: Batch, progress: float) -> Terms:
        """Named, weighted scalars whose sum is minimised; ``progress`` runs from 0 to 1.

        The name of a term that learns from labelled patches alone begins with "supervised"; every
        other one must learn from the unlabelled patches.
        """

    def updates(self, batch: Batch, progress: float) -> Iterator[tuple[str, Terms]]:
        """One (parameter group, terms) pair per optimiser step, computed when asked for."""
        yield "network", self.losses(batch, progress)

    def supervised_updates(self, batch: Batch) -> Iterator[tuple[str, Terms]]:
        """What is minimised in the place of `updates` where only labelled patches teach.

        The supervised loss of every segmentation network that is trained; nothing else learns.
        """
        terms = [
            self.supervised_loss(
                self.run(network, batch.labelled).logits.log_softmax(1),
                batch.labels,
                batch.annotated,
            )
            for network in self.modules()
            if isinstance(network, SegmentationNetwork) and network.is_trained
        ]
        yield "network", {"supervised": torch.stack(terms).sum()}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """What each optimiser trains."""
        return {"network": [weight for weight in self.parameters() if weight.requires_grad]}

    def after_step(self) -> None:
        """Called after the optimisers' steps: moving averages."""

    def check_patch(self, patch: tuple[int, int, int]) -> None:
        """Refuse a training patch that the method, other than its network, cannot work with.

        Raises:
            InputError: With a size that works.
        """

    @abstractmethod
    def predict(self, images: Tensor) -> Tensor:
        """Class probabilities (B, K, D, H, W) float32 of the network(s) that are tested."""

    def diagnose(self, batch: Batch) -> dict[str, float]:
        """Numbers worth watching, measured on a fully labelled batch without learning from it."""
        return {}

    def represent(self, images: Tensor) -> Representation:
        """How the network that makes the pseudo-labels sees ``images``; of two networks the first.

        The features are those that the method contrasts. Here, for methods that contrast none, they
        are rows of the decoder's last map of the first network that the method has built.
        """
        networks = (part for part in self.modules() if isinstance(part, SegmentationNetwork))
        return self.represent_with(next(networks), images)

    def represent_with(
        self, network: nn.Module, images: Tensor, head: Rows | None = None
    ) -> Representation:
        """Run a network; ``head`` turns rows of its last map into features."""
        logits, maps = self.run(network, images)

        def features(voxels: Tensor) -> Tensor:
            rows = gather_voxels(maps, voxels)
            return head(rows) if head else rows

        return Representation(logits.log_softmax(1), features)

    def run(self, network: nn.Module, images: Tensor) -> Prediction:
        """Run a network in the training precision; logits come back as float32.

        In a run on several processes, each runs it on its share of the images.
        """
        with self.autocast(images.device), divided(images) as mine:
            logits, features = network(mine)
            return Prediction(gathered(logits).float(), gathered(features))

    def autocast(self, device: torch.device) -> torch.autocast:
        """The training precision, for heads and discriminators."""
        return torch.autocast(device.type, self.precision, enabled=self.precision is not None)
