"""A head that predicts signed distance maps."""

from __future__ import annotations

from torch import Tensor, nn


class DistanceHead(nn.Conv3d):
    """1x1x1 convolution and tanh on the decoder's feature map, beside the segmentation head.

    Args:
        inputs: Channels F of the feature map.
        organs: K - 1, one map per foreground class.
    """

    def __init__(self, inputs: int, organs: int) -> None:
        super().__init__(inputs, organs, 1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """From (B, F, D, H, W) to (B, K - 1, D, H, W) float32 in (-1, 1), negative inside."""
        # The squashing is float32: bfloat16 has few values near 1, where most voxels lie.
        return super().forward(input).float().tanh()
