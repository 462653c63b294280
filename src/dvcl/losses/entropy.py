"""Entropy-based selection of reliable pseudo-labels and their weights (DVCL, Eq. 1-4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dvcl.losses.pseudo_labels import hard_labels


class Selection(NamedTuple):
    """One network's pseudo-labels on unlabelled patches, without gradient.

    Attributes:
        pseudo_labels: (U, D, H, W) int64, the most probable class.
        entropy: (U, D, H, W) in nats, in [0, ln K].
        reliable: (U, D, H, W) bool, the mask M_r of Eq. 2.
    """

    pseudo_labels: Tensor
    entropy: Tensor
    reliable: Tensor


def voxel_entropy(log_probabilities: Tensor) -> Tensor:
    """Eq. 1: entropy of each voxel's class distribution, in nats.

    Args:
        log_probabilities: (B, K, D, H, W), log-softmax.

    Returns:
        (B, D, H, W) in [0, ln K].
    """
    return -(log_probabilities.exp() * log_probabilities).sum(1)


def entropy_threshold(entropy: Tensor, alpha: float) -> Tensor:
    """Eq. 3: mean + alpha * standard deviation of all voxels, as a scalar.

    The paper says variance and prints its square root; it is the population standard deviation.
    """
    # Relative to one voxel, so that equal entropies give exactly their value: the rounding of a
    # long sum must not put all of them above their own mean.
    reference = entropy.flatten()[0]
    spread = entropy - reference
    return reference + spread.mean() + alpha * spread.std(correction=0)


@torch.no_grad()
def select_reliable(log_probabilities: Tensor, alpha: float) -> Selection:
    """Eq. 1-3: split one network's pseudo-labels by entropy, one threshold for all its voxels.

    Eq. 2 leaves a voxel exactly at the threshold in neither set; it counts as reliable here, as
    "otherwise" in Eq. 4 already says.

    Args:
        log_probabilities: (U, K, D, H, W) of the unlabelled patches.
        alpha: Larger values call more voxels reliable.
    """
    entropy = voxel_entropy(log_probabilities)
    reliable = entropy <= entropy_threshold(entropy, alpha)
    return Selection(hard_labels(log_probabilities), entropy, reliable)


def reliable_in_agreement(selections: Sequence[Selection]) -> list[Selection]:
    """Call a voxel reliable only where all networks give it the same pseudo-label, too.

    Networks are taught by the intersection of their labels in CPCL (Fan et al., IEEE TIP 2023,
    https://arxiv.org/abs/2211.16701).

    Args:
        selections: One per network, of the same patches.
    """
    first, *others = (selection.pseudo_labels for selection in selections)
    agreed = torch.stack([first == other for other in others]).all(0)
    return [selection._replace(reliable=selection.reliable & agreed) for selection in selections]


def pseudo_label_weights(
    selection: Selection, classes: int, maximum: float = 1.0, log_base: float = 2.0
) -> Tensor:
    """Eq. 4: ``maximum`` where reliable, maximum * exp(-entropy / log K) elsewhere.

    Literally the paper takes a natural logarithm in Eq. 1 and log2 here, which keeps the weights
    of unreliable voxels in [maximum / 2, maximum); ``log_base`` e gives [maximum / e, maximum).

    Returns:
        (U, D, H, W), without gradient: a network must not lower its loss by being uncertain.
    """
    lowered = torch.exp(-selection.entropy / math.log(classes, log_base))
    return maximum * torch.where(selection.reliable, 1.0, lowered)
