"""V-Net (Milletari et al., 3DV 2016): strided convolutions, added skips."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from dvcl.networks.channels_last import lay_out
from dvcl.networks.convolution import Convolution
from dvcl.networks.dropout import Dropout
from dvcl.networks.network import Prediction, SegmentationNetwork
from dvcl.networks.normalisation import InstanceNorm

CONVOLUTIONS = (1, 2, 3, 3, 3)


def _stage(convolutions: int, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(convolutions):
        layers += _normalised(Convolution(inputs if index == 0 else outputs, outputs, 3, padding=1))
    return nn.Sequential(*layers)


def _normalised(convolution: Convolution | nn.ConvTranspose3d) -> list[nn.Module]:
    return [convolution, InstanceNorm(), nn.ReLU(inplace=True)]


class VNet(SegmentationNetwork):
    """The network of CLD, DHC and MagicNet, with instance normalisation.

    Args:
        classes: K, the background included.
        base_channels: Channels of the finest level; each coarser level doubles them.
        levels: Resolutions, 2 to 5; a patch must be divisible by 2 ** (levels - 1).
        dropout: Probability at the bottleneck and before the last convolution.
    """

    def __init__(
        self, classes: int, base_channels: int = 16, levels: int = 5, dropout: float = 0.3
    ) -> None:
        super().__init__()
        widths = [base_channels * 2**level for level in range(levels)]
        pairs = list(itertools.pairwise(widths))
        depths = CONVOLUTIONS[:levels]
        self.encoder = nn.ModuleList(
            _stage(depth, 1 if level == 0 else width, width)
            for level, (depth, width) in enumerate(zip(depths, widths, strict=True))
        )
        self.down = nn.ModuleList(
            nn.Sequential(*_normalised(Convolution(fine, coarse, 2, stride=2)))
            for fine, coarse in pairs
        )
        self.up = nn.ModuleList(
            nn.Sequential(*_normalised(nn.ConvTranspose3d(coarse, fine, 2, stride=2)))
            for fine, coarse in pairs
        )
        self.decoder = nn.ModuleList(
            _stage(depth, width, width) for depth, width in zip(depths, widths[:-1], strict=False)
        )
        self.segmentation_head = nn.Conv3d(base_channels, classes, 1)
        self.dropout = Dropout(dropout)
        self.feature_channels = base_channels
        self.stride = 2 ** (levels - 1)

    def forward(self, images: Tensor) -> Prediction:
        """As `SegmentationNetwork.forward`."""
        skips: list[Tensor] = []
        maps = self.encoder[0](lay_out(images))
        for down, stage in zip(self.down, list(self.encoder)[1:], strict=True):
            skips.append(maps)
            maps = stage(down(maps))
        maps = self.dropout(maps)
        for up, stage in zip(reversed(self.up), reversed(self.decoder), strict=True):
            maps = stage(up(maps) + skips.pop())
        return Prediction(self.segmentation_head(self.dropout(maps)), maps)
