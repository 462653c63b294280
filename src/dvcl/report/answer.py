"""The result in words, without a claim that few runs of few cases cannot bear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvcl.evaluation.statistics import Comparison
from dvcl.evaluation.summary import Summary, spread

# More than these are not all named.
LISTED = 4

Rows = Mapping[str, Sequence[Summary]]


def answer(rows: Rows, found: Mapping[str, Comparison], reference: str, on_validation: bool) -> str:
    """Who is best, whether that is shown, and what keeps a reader from concluding more.

    Args:
        rows: Method, or variant of one -> one summary per seed.
        found: The others against ``reference``.
        reference: Name of a row, or of what the rows are held against.
        on_validation: Whether the scored cases also chose the weights.
    """
    first = next(iter(rows.values()))[0]
    organs = "1 organ" if first.organs_defined == 1 else f"{first.organs_defined} organs"
    if len(rows) <= LISTED:
        listed = ", ".join(f"{name} {_over_seeds(seeds)}" for name, seeds in rows.items())
        notes = [f"Mean Dice over {organs}, in percent: {listed}."]
    else:
        means = {name: spread([s.mean_dice for s in seeds]).mean for name, seeds in rows.items()}
        best = max(means, key=lambda name: (means[name] == means[name], means[name]))
        other = reference if reference in rows and reference != best else ""
        against = f"; {other} {_over_seeds(rows[other])}" if other else ""
        notes = [
            f"Mean Dice over {organs}, in percent: the highest of {len(rows)} has {best}, "
            f"{_over_seeds(rows[best])}{against}."
        ]
    return " ".join([*notes, *_verdicts(found, reference), *_caveats(rows, on_validation)])


def _verdicts(found: Mapping[str, Comparison], reference: str) -> list[str]:
    by_verdict: dict[str, list[str]] = {"better": [], "worse": [], "cannot tell": []}
    for name, row in found.items():
        by_verdict[row.verdict].append(name)
    said = [f"{verdict}: {_named(names)}" for verdict, names in by_verdict.items() if names]
    return [f"Case by case against {reference}, {'; '.join(said)}."] if said else []


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= LISTED else f"{len(names)} of them, see below"


def _caveats(rows: Rows, on_validation: bool) -> list[str]:
    notes = []
    if min(map(len, rows.values())) == 1 and len(rows) > 1:
        notes.append(
            "With one run of a method, whether a difference holds needs more seeds and cases."
        )
    cases = {frozenset(summary.case_dice) for seeds in rows.values() for summary in seeds}
    if len(cases) > 1:
        notes.append("The runs were scored on different cases: their columns do not compare.")
    if on_validation:
        notes.append(
            "The scores are of validation cases, which also chose the weights: expect less on "
            "new scans."
        )
    return notes


def _over_seeds(seeds: Sequence[Summary]) -> str:
    means = [summary.mean_dice for summary in seeds]
    shown = f"{100 * spread(means).mean:.1f}"
    if len(means) == 1:
        return shown
    return f"{shown} ({len(means)} seeds, {100 * min(means):.1f} to {100 * max(means):.1f})"
