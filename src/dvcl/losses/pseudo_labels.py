"""Hard labels from a network's output."""

from __future__ import annotations

from torch import Tensor


def hard_labels(scores: Tensor) -> Tensor:
    """The best class of every voxel, the lowest index among equals.

    Args:
        scores: (B, K, D, H, W), logits or (log-)probabilities.

    Returns:
        (B, D, H, W) int64. ``max`` gives what ``argmax`` gives, several times faster on a CPU.
    """
    return scores.max(1).indices
