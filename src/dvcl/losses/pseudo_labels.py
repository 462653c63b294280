"""Hard labels from a network's output."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

TOUCHING = np.ones((3, 3, 3), dtype=bool)  # by a face, an edge or a corner


def hard_labels(scores: Tensor) -> Tensor:
    """The best class of every voxel, the lowest index among equals.

    Args:
        scores: (B, K, D, H, W), logits or (log-)probabilities.

    Returns:
        (B, D, H, W) int64. ``max`` gives what ``argmax`` gives, several times faster on a CPU.
    """
    return scores.max(1).indices


def near_boundaries(labels: Tensor, radius: int) -> Tensor:
    """Where a voxel of another label is near: up to ``radius`` voxels away along every axis.

    Args:
        labels: (B, D, H, W) integers; another patch is never near.
        radius: In voxels, at least 1.

    Returns:
        (B, D, H, W) bool.
    """
    highest = torch.stack([labels, -labels], 1).float()
    for axis in range(3):
        window, margin = [1, 1, 1], [0, 0, 0]
        window[axis], margin[axis] = 2 * radius + 1, radius
        highest = F.max_pool3d(highest, window, 1, margin)
    # The largest label of the cube around each voxel, less the smallest.
    return highest.sum(1) > 0


def largest_components(labels: Tensor, classes: int) -> Tensor:
    """Each organ's largest connected component; its other voxels become background.

    Voxels are connected by faces, edges and corners. Found on the CPU.

    Args:
        labels: (B, D, H, W) int64.
        classes: K.
    """
    kept = np.zeros(labels.shape, dtype=np.int64)
    for patch, out in zip(labels.cpu().numpy(), kept, strict=True):
        for organ in range(1, classes):
            parts, count = ndimage.label(patch == organ, TOUCHING)
            if count:
                out[parts == 1 + np.bincount(parts.ravel())[1:].argmax()] = organ
    return torch.from_numpy(kept).to(labels.device)
