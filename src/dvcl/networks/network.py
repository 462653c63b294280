"""What every segmentation network offers, and how it is initialised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dvcl.errors import InputError

SCHEMES: dict[str, Callable[..., Tensor]] = {
    "kaiming": nn.init.kaiming_normal_,
    "xavier": nn.init.xavier_normal_,
}


class Prediction(NamedTuple):
    """What a network says about a batch.

    Attributes:
        logits: (B, K, D, H, W).
        features: (B, F, D, H, W), the decoder's last feature map, to which heads are attached.
    """

    logits: Tensor
    features: Tensor


class SegmentationNetwork(nn.Module, ABC):
    """A network from (B, 1, D, H, W) to a `Prediction` of the same D, H, W.

    Attributes:
        feature_channels: F of the last feature map.
        stride: Patch sides must be multiples of it.
    """

    feature_channels: int
    stride: int

    @property
    def is_trained(self) -> bool:
        """Whether an optimiser trains it; a teacher's copy is frozen."""
        return any(weight.requires_grad for weight in self.parameters())

    @abstractmethod
    def forward(self, images: Tensor) -> Prediction:
        """Segment ``images`` (B, 1, D, H, W), normalised intensities."""

    def check_patch(self, patch: tuple[int, int, int]) -> None:
        """Refuse a patch that the network cannot halve often enough.

        Raises:
            InputError: With the nearest sizes that work.
        """
        if all(side % self.stride == 0 and side >= 2 * self.stride for side in patch):
            return
        fitting = tuple(max(2, round(side / self.stride)) * self.stride for side in patch)
        raise InputError(
            f"patch or window {patch}: each side must be a multiple of {self.stride} and at least "
            f"{2 * self.stride} for a network of this depth, for example {fitting}."
        )


@torch.no_grad()
def initialise(network: nn.Module, scheme: str, random: torch.Generator) -> None:
    """Draw all convolution and linear weights anew; biases become 0.

    Args:
        network: Changed in place.
        scheme: "kaiming" or "xavier" (normal). Two co-trained networks take one each, so that they
            start differently (S4M; `methods` docstrings).
        random: A CPU generator.
    """
    draw = SCHEMES[scheme]
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d | nn.Linear):
            draw(module.weight, generator=random)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
