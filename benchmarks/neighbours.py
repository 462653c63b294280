"""Exact neighbour search of DVCL's distance-aware loss against torch's product and two topk.

Claim: `find_neighbours` finds the same top 10 and bottom 15 as ranking every candidate, in at most
0.7 of the time of the tiled product with two topk at 8,192 queries x 65,536 candidates of 256
numbers, and takes at most 200 MiB. At 2,048 x 18,432 (the paper's queue and batch) a tie is fine.
With fewer candidates torch's ranking of all of them takes little more than that of the extremes and
members of groups, equal values in order, which torch's does not promise: below 5,000 it is ahead.

    python benchmarks/neighbours.py [--quick]
"""

from __future__ import annotations

import statistics
from functools import partial

import torch
from measuring import (
    in_fresh_process,
    interleaved,
    median_ratio,
    options,
    peak_mib,
    print_table,
    verdict,
)
from torch import Tensor
from torch.nn import functional as F

from dvcl.losses.neighbours import find_neighbours

NEAR, FAR, WIDTH, TILE = 10, 15, 256, 256
SIZES = [(2048, 18432), (8192, 65536)]
QUICK_SIZES = [(512, 1536), (512, 4608), (2048, 18432)]


def unit_rows(queries: int, candidates: int, device: str) -> tuple[Tensor, Tensor]:
    """Random unit vectors."""
    random = torch.Generator().manual_seed(0)
    rows = F.normalize(torch.randn(queries + candidates, WIDTH, generator=random), dim=1)
    return tuple(part.contiguous().to(device) for part in rows.split([queries, candidates]))


def two_topk(queries: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """The peer: one product per tile of queries, ranked from both ends by torch."""
    near, far = [], []
    for tile in queries.split(TILE):
        scores = tile @ candidates.T
        near.append(scores.topk(NEAR).indices)
        far.append(scores.topk(FAR, largest=False).indices)
    return torch.cat(near), torch.cat(far)


def product(queries: Tensor, candidates: Tensor) -> None:
    """The limit: the products alone."""
    for tile in queries.split(TILE):
        tile @ candidates.T


def ours(queries: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    return tuple(find_neighbours(queries, candidates, NEAR, FAR))


def difference(
    rows: tuple[Tensor, Tensor], mine: tuple[Tensor, ...], theirs: tuple[Tensor, ...]
) -> tuple[int, float]:
    """Indices that differ, and by how much their similarities do, in float64.

    Two products of other shapes round differently: candidates that are equal up to that may swap.
    """
    queries, candidates = (part.double() for part in rows)
    unlike, gap = 0, 0.0
    for ours, torchs in zip(mine, theirs, strict=True):
        query, rank = (ours != torchs).nonzero(as_tuple=True)
        pair = [candidates[found[query, rank]] for found in (ours, torchs)]
        unlike += len(query)
        gap = max([gap, *((pair[0] - pair[1]) * queries[query]).sum(1).abs().tolist()])
    return unlike, gap


VARIANTS = {"dvcl": ours, "torch, two topk": two_topk, "product alone": product}


def memory(name: str, size: tuple[int, int], device: str, threads: int) -> float:
    torch.set_num_threads(threads)
    rows = unit_rows(*size, device)
    VARIANTS[name](rows[0][:1], rows[1])
    return peak_mib(partial(VARIANTS[name], *rows), device)


def main() -> None:
    chosen = options(__doc__)
    for size in QUICK_SIZES if chosen.quick else SIZES:
        peaks = {
            name: in_fresh_process(memory, name, size, chosen.device, chosen.threads)
            for name in VARIANTS
        }
        rows = unit_rows(*size, chosen.device)
        unlike, gap = difference(rows, ours(*rows), two_topk(*rows))
        calls = {name: partial(call, *rows) for name, call in VARIANTS.items()}
        seconds = interleaved(calls, chosen.repeats)
        print(
            f"\n{size[0]} queries x {size[1]} candidates; {unlike} indices unlike torch's, "
            f"similarities unlike by at most {gap:.0e}"
        )
        peer = seconds["torch, two topk"]
        print_table(
            ("", "ms", "x torch", "MiB"),
            [
                (name, 1000 * statistics.median(s), median_ratio(s, peer), peaks[name])
                for name, s in seconds.items()
            ],
        )
    verdict("time relative to torch", median_ratio(seconds["dvcl"], peer), 0.7)
    verdict("peak memory, MiB", peaks["dvcl"], 200)


if __name__ == "__main__":
    main()
