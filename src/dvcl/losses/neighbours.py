"""Exact nearest and farthest neighbours, tile by tile (DVCL, Eq. 13)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TILE = 256


class Neighbourhood(NamedTuple):
    """Indices into the candidates, best first; equal similarities are ordered by index.

    Attributes:
        neighbours: (Q, K) int64, the most similar candidates.
        outsiders: (Q, K') int64, the least similar candidates.
    """

    neighbours: Tensor
    outsiders: Tensor


@torch.no_grad()
def find_neighbours(
    queries: Tensor,
    candidates: Tensor,
    neighbours: int,
    outsiders: int,
    itself: Tensor | None = None,
    classes: tuple[Tensor, Tensor] | None = None,
) -> Neighbourhood:
    """Eq. 13: the top-K and low-K' candidates of every query by inner product.

    One product per tile of queries serves both ends; the Q x N matrix never exists. Within a tile
    only the extremes of groups of candidates are ranked: the best K elements lie in the K groups
    with the best extremes, so the result is that of ranking everything.

    Args:
        queries: (Q, d), unit length for cosine similarity.
        candidates: (N, d), unit length.
        neighbours: K.
        outsiders: K'.
        itself: (Q,) index of the query among the candidates, -1 where it is not; never returned.
        classes: (Q,) and (N,), of queries and candidates, to take outsiders from other classes than
            the query's alone. Where these have fewer than K', the rest of the row is filled with
            candidates of its own class, and may hold the query itself.

    Raises:
        ValueError: With fewer candidates than K or K' after leaving out the query itself.
    """
    available = len(candidates) - (itself is not None)
    if available < max(neighbours, outsiders):
        raise ValueError(f"{available} candidates for {neighbours} and {outsiders} wanted")
    near = queries.new_empty((len(queries), neighbours), dtype=torch.int64)
    far = queries.new_empty((len(queries), outsiders), dtype=torch.int64)
    group = _group_size(len(candidates))
    padded = -(-len(candidates) // group) * group
    buffer = queries.new_empty((min(TILE, len(queries)), padded))
    for first in range(0, len(queries), TILE):
        rows = slice(first, first + TILE)
        scores = buffer[: len(queries[rows])]
        torch.mm(queries[rows], candidates.T, out=scores[:, : len(candidates)])
        own = None if itself is None else itself[rows]
        near[rows] = _extremes(_excluding(scores, len(candidates), own, -1), group, neighbours, 1)
        scores = _excluding(scores, len(candidates), own, 1)
        if classes is not None:
            same = classes[0][rows].unsqueeze(1) == classes[1]
            scores[:, : len(candidates)].masked_fill_(same, torch.inf)
        far[rows] = _extremes(scores, group, outsiders, -1)
    # Similarities that are no numbers have no order, and leave the padding at neither end.
    last = len(candidates) - 1
    return Neighbourhood(near.clamp_(max=last), far.clamp_(max=last))


def _group_size(candidates: int) -> int:
    """Members of a group: of N candidates N / G extremes are ranked, and then K * G members."""
    return 16 if candidates < 2048 else 32 if candidates < 16384 else 64


def _excluding(scores: Tensor, count: int, itself: Tensor | None, side: int) -> Tensor:
    """Put the padding, and each row's own column, at one end: ``side`` times infinity."""
    scores[:, count:] = side * torch.inf
    if itself is not None:
        own = itself.clamp(min=0).unsqueeze(1)
        kept = scores.gather(1, own)
        scores.scatter_(1, own, kept.masked_fill(itself.unsqueeze(1) >= 0, side * torch.inf))
    return scores


def _extremes(scores: Tensor, group: int, count: int, sign: int) -> Tensor:
    """Columns of each row's ``count`` largest (sign 1) or smallest (-1) values, ties by index."""
    groups = scores.unflatten(1, (-1, group))
    heights = groups.amax(2) if sign > 0 else groups.amin(2).neg_()
    best = _rank(heights, min(count, groups.shape[1])).sort(1).values
    members = groups.gather(1, best.unsqueeze(2).expand(-1, -1, group)).flatten(1)
    columns = (best.unsqueeze(2) * group + torch.arange(group, device=best.device)).flatten(1)
    return columns.gather(1, _rank(members.mul_(sign), count))


def _rank(values: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest values of each row, equal ones in order of index.

    The float's bits, made monotonic, and the index share one integer, so that no two are equal.
    """
    # Adding 0 turns -0 into 0; negative floats grow with falling bits.
    bits = (values.float() + 0.0).view(torch.int32)
    ordered = bits.bitwise_xor_((bits >> 31).bitwise_and_(0x7FFFFFFF))
    width = values.shape[1]
    keys = ordered.long().mul_(width).add_(torch.arange(width - 1, -1, -1, device=values.device))
    return keys.topk(count, dim=1).indices
