"""Contrast of two views of the same voxels through neighbours in a queue: NNCLR and SNCLR."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

TILE = 256


def nearest_neighbour_contrast(nearest: Tensor, predicted: Tensor, temperature: float) -> Tensor:
    """One direction of NNCLR: -log(exp(n_m . g_m / tau) / sum_j exp(n_m . g_j / tau)), mean over m.

    Dwibedi et al., ICCV 2021, https://arxiv.org/abs/2104.14548.

    Args:
        nearest: (Q, d), unit; the queue's nearest neighbour of one view, detached.
        predicted: (Q, d), unit; the prediction from the other view of the same voxels.
        temperature: tau.
    """
    itself = torch.arange(len(nearest), device=nearest.device)
    return F.cross_entropy(nearest @ predicted.T / temperature, itself)


def soft_neighbour_contrast(
    predicted: Tensor, keys: Tensor, neighbours: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """One direction of SNCLR: a voxel's other view and its neighbours are positives.

    Ge et al., ICLR 2023, https://arxiv.org/abs/2303.17142. With P one softmax over the keys and
    neighbours of all voxels: 2 tau * mean_m of -log P(key_m) - sum_k w_mk log P(neighbour_mk).

    Args:
        predicted: (Q, d), unit; the prediction from one view, with gradient.
        keys: (Q, d), unit; the other view, detached.
        neighbours: (Q, K, d), unit; of the other view, detached.
        weights: (Q, K), what every neighbour counts beside the key's 1, detached.
        temperature: tau.
    """
    positives = (predicted * keys).sum(1)
    positives = positives + (weights * torch.einsum("qd,qkd->qk", predicted, neighbours)).sum(1)
    everything = torch.cat([keys, neighbours.flatten(0, 1)])
    normaliser = log_normaliser(predicted, everything, temperature)
    losses = (1 + weights.sum(1)) * normaliser - positives / temperature
    return 2 * temperature * losses.mean()


def log_normaliser(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Log of sum_j exp(q . k_j / tau) of every query (Q, d) over all keys (N, d), as (Q,).

    Products exist for one tile of queries at a time, and once more in the backward pass; the Q x N
    matrix is never kept.
    """
    tiles = [
        checkpoint(_tile, rows, keys, temperature, use_reentrant=False, preserve_rng_state=False)
        for rows in queries.split(TILE)
    ]
    return torch.cat(tiles)


def _tile(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    return (queries @ keys.T / temperature).logsumexp(1)
