"""Two networks that see the same patches, start differently and predict together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from dvcl.methods.method import MakeNetwork, Method
from dvcl.methods.parts import check_choice, mean_probabilities
from dvcl.networks.network import Prediction

Start = Literal["kaiming", "xavier"]
Use = Literal["mean", "A", "B"]


class NetworkPair(nn.ModuleList):
    """Networks A and B of a method in which two teach each other.

    Attributes:
        feature_channels: Of the features of either.

    Args:
        make_network: See `Method`.
        second_start: Initialisation of B; that of A is "kaiming".
        predict_with: "mean" of both softmax maps, or "A" or "B" alone.

    Raises:
        InputError: For another start or use; before a network is built.
    """

    def __init__(self, make_network: MakeNetwork, second_start: Start, predict_with: Use) -> None:
        check_choice("predict_with", predict_with, ("mean", "A", "B"))
        check_choice("second_start", second_start, ("kaiming", "xavier"))
        networks = [make_network(scheme) for scheme in ("kaiming", second_start)]
        super().__init__(networks)
        self.predict_with = predict_with
        self.feature_channels = networks[0].feature_channels

    def predict(self, run: Callable[[nn.Module, Tensor], Prediction], images: Tensor) -> Tensor:
        """Class probabilities (B, K, D, H, W); ``run`` is `Method.run`."""
        logits = [run(network, images).logits for network in self]
        return mean_probabilities(logits, self.predict_with)


def members_of(method: Method) -> tuple[Callable[[Tensor], Tensor], ...]:
    """What a method averages to predict, each from images to class probabilities; itself if alone.

    Both networks of a pair of which the mean predicts.
    """
    pairs = [part for part in method.children() if isinstance(part, NetworkPair)]
    if not pairs or pairs[0].predict_with != "mean":
        return (method.predict,)
    networks: list[nn.Module] = list(pairs[0])
    return tuple(partial(_probabilities, method, network) for network in networks)


def _probabilities(method: Method, network: nn.Module, images: Tensor) -> Tensor:
    return method.run(network, images).logits.softmax(1)
