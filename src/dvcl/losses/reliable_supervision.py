"""Cross-entropy of the pseudo-labels that are certain enough (U2PL)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def percentile(values: Tensor, share: float) -> Tensor:
    """The smallest value that at least ``share`` of all values do not exceed, as a scalar.

    Args:
        values: Any shape, not empty.
        share: In [0, 1]; 0 gives the smallest value.
    """
    rank = max(1, min(values.numel(), round(share * values.numel())))
    # Exact, and cheaper than sorting a random million as torch.quantile would need.
    return values.flatten().kthvalue(rank).values


def reliable_supervision(
    log_probabilities: Tensor, pseudo_labels: Tensor, reliable: Tensor
) -> Tensor:
    """Cross-entropy, mean over the reliable voxels, times all voxels per reliable one.

    Args:
        log_probabilities: (U, K, D, H, W).
        pseudo_labels: (U, D, H, W) int64, no gradient.
        reliable: (U, D, H, W) bool.
    """
    losses = F.nll_loss(log_probabilities, pseudo_labels, reduction="none")
    kept = reliable.sum().clamp_min(1).to(losses.dtype)
    return (losses * reliable).sum() / kept * (reliable.numel() / kept)
