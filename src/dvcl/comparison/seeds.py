"""Rows that are held against each other stand on the same seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def on_shared_seeds(rows: Sequence[Mapping[int, T]]) -> list[list[T]]:
    """What every row, seed -> value, has of the seeds that all rows have, in their order.

    A row with further seeds would be held to another standard than the others. Rows without any do
    not count; where the others share no seed, they keep all of theirs.
    """
    some = [row for row in rows if row]
    shared = {seed for row in some for seed in row if all(seed in other for other in some)}
    return [[row[seed] for seed in sorted(row) if seed in shared or not shared] for row in rows]
