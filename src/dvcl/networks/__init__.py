"""Segmentation networks by name."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from dvcl.errors import InputError
from dvcl.networks.network import SegmentationNetwork, initialise
from dvcl.networks.unet3d import UNet3d
from dvcl.networks.vnet import VNet

NETWORKS: dict[str, type[UNet3d] | type[VNet]] = {"unet3d": UNet3d, "vnet": VNet}


@dataclass(frozen=True)
class Network:
    """Which network is trained.

    Attributes:
        name: A key of `NETWORKS`.
        base_channels: Channels of the finest level.
        levels: Resolutions, the finest included.
        dropout: Probability at the bottleneck and before the last convolution.
        background: Probability that the network gives the background at first (Lin et al., ICCV
            2017), by the bias of its last convolution; 0 leaves all biases at 0.
    """

    name: str = "unet3d"
    base_channels: int = 16
    levels: int = 5
    dropout: float = 0.3
    background: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in NETWORKS:
            raise InputError(f"network.name: {self.name!r} found, one of {[*NETWORKS]} expected.")
        if self.base_channels < 1 or not 2 <= self.levels <= 5 or not 0 <= self.dropout < 1:
            raise InputError(
                "network: base_channels must be positive, levels 2 to 5, dropout in [0, 1); found "
                f"{self.base_channels}, {self.levels}, {self.dropout}."
            )

        if not 0 <= self.background < 1:
            raise InputError(
                f"network.background: {self.background} found, a number in [0, 1) expected."
            )

    def build(self, classes: int, scheme: str, random: torch.Generator) -> SegmentationNetwork:
        """A freshly initialised network for K classes; see `initialise`."""
        network = NETWORKS[self.name](classes, self.base_channels, self.levels, self.dropout)
        initialise(network, scheme, random)
        if self.background:
            odds = self.background / (1 - self.background)
            assert network.segmentation_head.bias is not None
            nn.init.constant_(network.segmentation_head.bias[0], math.log(odds * (classes - 1)))
        return network
