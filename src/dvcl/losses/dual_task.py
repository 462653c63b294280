"""A signed distance map, turned back into a mask, should agree with the segmentation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def dual_task_consistency(distances: Tensor, probabilities: Tensor, steepness: float) -> Tensor:
    """Mean of (sigmoid(-k z) - p)^2 over patches, organs and voxels (Luo et al., AAAI 2021).

    Gradients flow to both; to the distances only in a thin band, since the sigmoid is steep.

    Args:
        distances: (B, K - 1, D, H, W), predicted z of classes 1 to K - 1, negative inside.
        probabilities: (B, K, D, H, W), softmax.
        steepness: k.

    Returns:
        Scalar in [0, 1].
    """
    return F.mse_loss(torch.sigmoid(-steepness * distances), probabilities[:, 1:])
