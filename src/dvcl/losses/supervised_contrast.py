"""Contrast of labelled features with labelled memories."""

from __future__ import annotations

import torch
from torch import Tensor


def supervised_contrast(
    anchors: Tensor,
    anchor_classes: Tensor,
    memories: Tensor,
    memory_classes: Tensor,
    temperature: float,
) -> Tensor:
    """Each anchor against the memories: its class attracts, all others repel.

    Mean over positives p of -[s_p - log(e^s_p + sum over negatives of e^s)], s = cosine / tau: a
    positive competes with the negatives and not with other positives (Wang et al., ICCV 2021,
    https://arxiv.org/abs/2101.11939).

    Args:
        anchors: (A, d), unit length, with gradient.
        anchor_classes: (A,) int64.
        memories: (N, d), unit length.
        memory_classes: (N,) int64.
        temperature: tau.

    Returns:
        (A,) losses; 0 for an anchor without positives or without negatives.
    """
    similarity = anchors @ memories.T / temperature
    positive = anchor_classes.unsqueeze(1) == memory_classes
    against = similarity.masked_fill(positive, -torch.inf).logsumexp(1, keepdim=True)
    losses = torch.logaddexp(similarity, against) - similarity
    return (losses * positive).sum(1) / positive.sum(1).clamp_min(1)
