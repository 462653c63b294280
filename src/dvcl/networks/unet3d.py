"""3-D U-Net (Cicek et al., MICCAI 2016), in the shape common to semi-supervised work."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from dvcl.networks.channels_last import concatenate, lay_out, pool, upsample
from dvcl.networks.convolution import Convolution
from dvcl.networks.dropout import Dropout
from dvcl.networks.network import Prediction, SegmentationNetwork
from dvcl.networks.normalisation import InstanceNorm


class DoubleConvolution(nn.Sequential):
    """Twice: 3x3x3 convolution, instance normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [
                Convolution(channels, outputs, 3, padding=1),
                InstanceNorm(),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UNet3d(SegmentationNetwork):
    """Encoder and decoder with skip connections; max pooling down, trilinear up.

    Instance normalisation has no running statistics, so a moving average of the weights is a
    complete teacher, and labelled and unlabelled patches never mix their statistics.

    Args:
        classes: K, the background included.
        base_channels: Channels of the finest level; each coarser level doubles them. 16 gives 5.9
            million weights with five levels.
        levels: Resolutions, the finest included; a patch must be divisible by 2 ** (levels - 1).
        dropout: Probability at the bottleneck and before the last convolution.
    """

    def __init__(
        self, classes: int, base_channels: int = 16, levels: int = 5, dropout: float = 0.3
    ) -> None:
        super().__init__()
        widths = [base_channels * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList(
            DoubleConvolution(inputs, outputs)
            for inputs, outputs in zip([1, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            DoubleConvolution(coarse + fine, fine) for fine, coarse in itertools.pairwise(widths)
        )
        self.segmentation_head = nn.Conv3d(base_channels, classes, 1)
        self.dropout = Dropout(dropout)
        self.feature_channels = base_channels
        self.stride = 2 ** (levels - 1)

    def forward(self, images: Tensor) -> Prediction:
        """As `SegmentationNetwork.forward`."""
        skips: list[Tensor] = []
        maps = lay_out(images)
        for level, block in enumerate(self.encoder):
            maps = block(pool(maps) if level else maps)
            skips.append(maps)
        maps = self.dropout(skips.pop())
        for block in reversed(self.decoder):
            maps = block(concatenate(skips.pop(), upsample(maps)))
        return Prediction(self.segmentation_head(self.dropout(maps)), maps)
