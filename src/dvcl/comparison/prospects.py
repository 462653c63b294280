"""What a comparison cannot tell whatever its runs give: said before they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvcl.comparison.plan import Entry
from dvcl.errors import counted
from dvcl.evaluation.statistics import FEWEST_CASES, LEVEL, cases_needed, smallest_p


def prospects(entries: Sequence[Entry], cases: Mapping[str, int]) -> list[str]:
    """Tables that can hold no verdict, and why; one line each.

    Args:
        entries: All runs of the comparison.
        cases: How many each run will be scored on, by `Entry.label`.
    """
    tables: dict[str, dict[str, set[int]]] = {}
    scored: dict[str, int] = {}
    for entry in entries:
        title = f"{entry.base}, variants" if entry.varied else entry.label
        tables.setdefault(title, {}).setdefault(entry.row, set()).add(entry.seed)
        scored[title] = min(cases[entry.label], scored.get(title, cases[entry.label]))
    said = []
    for title, rows in tables.items():
        # Variants are held against the unchanged method, which is no row among them here.
        compared = len(rows) - (not title.endswith(", variants"))
        if compared:
            said += _limits(title, compared, scored[title], min(map(len, rows.values())))
    return said


def _limits(title: str, rows: int, cases: int, trainings: int) -> list[str]:
    said = []
    few = cases < FEWEST_CASES or smallest_p(cases, rows) >= LEVEL
    if few:
        said.append(
            f"{title}: {counted(rows, 'row')} over {counted(cases, 'scored case')}: p cannot fall "
            f"below {smallest_p(cases, rows):.3f}, so no verdict is possible; "
            f"{cases_needed(rows)} cases would be needed."
        )
    if trainings < 2:
        said.append(
            f"{title}: one training each: no verdict about a method is possible, only about these "
            "networks; --seeds 0,1,2 trains three."
        )
    return said
