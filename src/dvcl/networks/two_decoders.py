"""One encoder, two decoders that differ in how they upsample."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from dvcl.errors import InputError
from dvcl.networks.channels_last import concatenate, lay_out, pool, upsample
from dvcl.networks.network import SegmentationNetwork
from dvcl.networks.unet3d import UNet3d

Layer = Callable[[Tensor], Tensor]


class TwoPredictions(NamedTuple):
    """What both decoders say, and what the encoder tells them.

    Attributes:
        first: (B, K, D, H, W) logits of the decoder with trilinear upsampling.
        second: (B, K, D, H, W) logits of the decoder with transposed convolutions.
        levels: The encoder's maps, the finest first: level l is (B, F * 2 ** l, D / 2 ** l, ...).
    """

    first: Tensor
    second: Tensor
    levels: list[Tensor]


class TwoDecoders(nn.Module):
    """A U-Net that shares its encoder with the decoder of a twin.

    The twin's decoder and head work on transposed convolutions, where the network's interpolates.
    Everything else of the twin is dropped.

    Args:
        network: A 3-D U-Net, whole: it predicts by itself, too.
        twin: Another one of the same shape.
    """

    def __init__(self, network: SegmentationNetwork, twin: SegmentationNetwork) -> None:
        super().__init__()
        if not isinstance(network, UNet3d) or not isinstance(twin, UNet3d):
            raise InputError(
                "network.name: a method with two decoders needs unet3d, whose decoder interpolates."
            )
        widths = [network.feature_channels * 2**level for level in range(len(network.encoder))]
        self.network = network
        self.second_up = nn.ModuleList(
            nn.ConvTranspose3d(coarse, coarse, 2, stride=2)
            for _, coarse in itertools.pairwise(widths)
        )
        self.second_decoder = twin.decoder
        self.second_head = twin.segmentation_head

    def forward(self, images: Tensor) -> TwoPredictions:
        """Segment ``images`` (B, 1, D, H, W) twice."""
        levels: list[Tensor] = []
        maps = lay_out(images)
        for level, block in enumerate(self.network.encoder):
            maps = block(pool(maps) if level else maps)
            levels.append(maps)
        upsampling = [upsample] * len(self.second_up)
        first = self._decode(levels, upsampling, list(self.network.decoder))
        second = self._decode(levels, list(self.second_up), list(self.second_decoder))
        return TwoPredictions(
            self.network.segmentation_head(first), self.second_head(second), levels
        )

    def _decode(
        self, levels: list[Tensor], upsample: Sequence[Layer], blocks: Sequence[Layer]
    ) -> Tensor:
        """The map before the segmentation head."""
        *skips, maps = levels
        maps = self.network.dropout(maps)
        for skip, up, block in zip(
            reversed(skips), reversed(upsample), reversed(blocks), strict=True
        ):
            maps = block(concatenate(skip, up(maps)))
        dropped: Tensor = self.network.dropout(maps)
        return dropped
