"""Organs in parts: exchange cases until each organ occurs in each part, where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from dvcl.splits.split import Split

Organs = Mapping[str, frozenset[str]]
Parts = dict[str, list[str]]

CONSEQUENCES = {
    "labelled": "it cannot be learned",
    "validation": "it does not count when the best weights are chosen",
    "test": "its scores are undefined",
}


def exchange(
    parts: Parts, organs: Organs, may_go: Callable[[str, str], bool] = lambda case, part: True
) -> Parts:
    """Exchange pairs of cases between parts as long as that makes parts show more organs.

    Where every part shows every organ nothing changes. Exchanges of two cases are tried, not of
    three: the rare arrangement that only those reach is not found.

    Args:
        parts: {name: case ids}; empty parts need nothing.
        organs: {case id: the organs that it shows}.
        may_go: Whether a case may be put into a part.

    Returns:
        Parts with the same sizes; the cases that were not exchanged keep their places.
    """
    parts = {name: list(ids) for name, ids in parts.items()}
    filled = [name for name, ids in parts.items() if ids]
    shown = _table([case for ids in parts.values() for case in ids], organs)
    while swap := _best_swap(parts, filled, shown, may_go):
        (part, place), (other, there) = swap
        ids, others = parts[part], parts[other]
        ids[place], others[there] = others[there], ids[place]
    return parts


def covering_order(ids: Sequence[str], organs: Organs) -> list[str]:
    """Cases in an order whose first ones show as many organs as possible; else as they were.

    The next case is the one with the most organs that none before it shows, the earlier one of
    equals, until no case has any; then the others follow. Every beginning of the order is thus a
    good choice, and a smaller one is part of a larger one.
    """
    left, order, seen = list(ids), [], frozenset[str]()
    while left:
        gains = [len(organs.get(case, frozenset()) - seen) for case in left]
        if max(gains) == 0:
            break
        chosen = left.pop(gains.index(max(gains)))
        order.append(chosen)
        seen |= organs[chosen]
    return order + left


def absent_organs(split: Split, organs: Organs, names: Sequence[str]) -> Iterator[str]:
    """One line per part that lacks organs, with what follows from it.

    Args:
        split: To look at.
        organs: {case id: the organs that it shows}, of the cases whose labels are used; parts with
            none of these are left out.
        names: All organs.
    """
    for role, consequence in CONSEQUENCES.items():
        known = [organs[case] for case in getattr(split, role) if case in organs]
        absent = [name for name in names if not any(name in shown for shown in known)]
        if known and absent:
            yield (
                f"No {role} case ({len(known)} in all) shows {', '.join(absent)}: {consequence}."
            )


def _table(ids: Sequence[str], organs: Organs) -> dict[str, np.ndarray]:
    """{case id: 0 or 1 for every organ that some case shows}."""
    names = sorted({name for case in ids for name in organs.get(case, ())})
    return {
        case: np.array([name in organs.get(case, ()) for name in names], dtype=np.int64)
        for case in ids
    }


def _best_swap(
    parts: Parts,
    filled: Sequence[str],
    shown: Mapping[str, np.ndarray],
    may_go: Callable[[str, str], bool],
) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """The first exchange among those that put the most missing organs into their parts."""
    counts = {part: np.sum([shown[case] for case in parts[part]], axis=0) for part in filled}
    best, found = 0, None
    for part in filled:
        if counts[part].all():
            continue
        for other in filled:
            for there, donor in enumerate(parts[other]):
                fills = (counts[part] == 0) & (shown[donor] > 0)
                if other == part or not fills.any() or not may_go(donor, part):
                    continue
                for place, case in enumerate(parts[part]):
                    change = shown[donor] - shown[case]
                    gain = _gain(counts[part], change) + _gain(counts[other], -change)
                    if gain > best and may_go(case, other):
                        best, found = gain, ((part, place), (other, there))
    return found


def _gain(counts: np.ndarray, change: np.ndarray) -> int:
    """How many more organs a part shows after a change of its counts."""
    return int(np.count_nonzero(counts + change) - np.count_nonzero(counts))
