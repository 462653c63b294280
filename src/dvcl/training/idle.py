"""Terms that taught nothing, told to who watches a run: a loss of 0 looks like success."""

from __future__ import annotations

from collections.abc import Sequence

from dvcl.errors import counted
from dvcl.training.journal import Row


class IdleTerms:
    """Watches a run for terms that are 0 at every step from one validation to the next."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def __call__(self, row: Row) -> list[str]:
        """Take in a row of the journal; at the end of an interval, a sentence per idle term."""
        if row["kind"] != "step":
            return []
        self._rows.append(row)
        # Gradients are measured at the last step before a validation, also where none follows.
        if "gradient_norms" not in row:
            return []
        rows, self._rows = self._rows, []
        names = dict.fromkeys(name for row in rows for name in row["terms"])
        return [
            _sentence(name, rows)
            for name in names
            if not any(row["terms"].get(name, 0) for row in rows)
        ]


def _sentence(term: str, rows: Sequence[Row]) -> str:
    steps = sum(term in row["terms"] for row in rows)
    most: dict[str, int] = {}
    for row in rows:
        for name, count in row.get("worked_on", {}).items():
            if name.startswith(f"{term} "):
                thing = name.removeprefix(f"{term} ")
                most[thing] = max(count, most.get(thing, 0))
    counts = ", ".join(f"{thing} {count}" for thing, count in most.items())
    return (
        f"the term {term} was 0 in every one of {counted(steps, 'step')} and taught nothing: it "
        f"found nothing to work on{f' (at most: {counts})' if counts else ''}, or its weight is 0. "
        "See Idle terms in docs/training.md."
    )
