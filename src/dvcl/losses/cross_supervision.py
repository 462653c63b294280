"""Cross pseudo supervision: one network learns from the other's hard labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cross_supervision(
    log_probabilities: Tensor, pseudo_labels: Tensor, weights: Tensor | None = None
) -> Tensor:
    """One direction of Eq. 5 of DVCL: weighted cross-entropy, mean over all voxels.

    Not divided by the sum of the weights: down-weighted voxels make the loss smaller. Without
    weights it is one direction of cross pseudo supervision (Chen et al., CVPR 2021).

    Args:
        log_probabilities: (U, K, D, H, W) of the network that learns.
        pseudo_labels: (U, D, H, W) int64 of the network that teaches, no gradient.
        weights: (U, D, H, W) of the network that teaches, no gradient.
    """
    if weights is None:
        return F.nll_loss(log_probabilities, pseudo_labels)
    return (weights * F.nll_loss(log_probabilities, pseudo_labels, reduction="none")).mean()
