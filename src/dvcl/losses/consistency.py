"""Two predictions of the same voxels should agree."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

# Keeps an empty mask at 0 instead of 0 / 0.
SMALLEST = 1e-16


def squared_difference(
    probabilities: Tensor, targets: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean squared difference over classes and voxels, of chosen voxels where there is a mask.

    sum(mask (p - q)^2) / (K sum(mask)): the consistency loss of mean teachers and UA-MT (Yu et al.,
    MICCAI 2019).

    Args:
        probabilities: (U, K, D, H, W) of the student.
        targets: (U, K, D, H, W) of the teacher, no gradient.
        mask: (U, D, H, W) bool; an empty one gives 0.

    Returns:
        Scalar in [0, 1].
    """
    if mask is None:
        return F.mse_loss(probabilities, targets)
    squares = (probabilities - targets).square().mean(1)
    return (mask * squares).sum() / (mask.sum() + SMALLEST)
