"""A discriminator's game: do these maps belong to a labelled image?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def origin_loss(scores: Tensor, labelled: int) -> Tensor:
    """Cross-entropy of calling the first patches labelled and the others unlabelled.

    The discriminator learns the truth, the segmenter that all its patches pass for labelled ones.

    Args:
        scores: (B, 2) logits, of unlabelled (0) and labelled (1).
        labelled: How many patches, from the first, are to be called labelled.
    """
    targets = (torch.arange(len(scores), device=scores.device) < labelled).long()
    return F.cross_entropy(scores, targets)
