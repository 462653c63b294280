"""The result in words, without a claim that few runs of few cases cannot bear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvcl.errors import counted
from dvcl.evaluation.collapse import Collapses
from dvcl.evaluation.statistics import Comparison
from dvcl.evaluation.summary import Summary, spread
from dvcl.report.differences import ONE_TRAINING, no_verdict

# More than these are not all named.
LISTED = 4

Rows = Mapping[str, Sequence[Summary]]


def answer(
    rows: Rows,
    found: Mapping[str, Comparison],
    reference: str,
    on_validation: bool,
    collapses: Collapses | None = None,
) -> str:
    """Who is highest, whether that is shown, and what keeps a reader from concluding more.

    Args:
        rows: Method, or variant of one -> one summary per seed.
        found: The others against ``reference``.
        reference: Name of a row, or of what the rows are held against.
        on_validation: Whether the scored cases also chose the weights.
        collapses: Trainings that collapsed, from `collapse.collapsed`.
    """
    first = next(iter(rows.values()))[0]
    organs = counted(first.organs_defined, "organ")
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
    notes += _verdicts(found, reference)
    return " ".join([*notes, *_caveats(rows, found, on_validation, collapses or {})])


def _verdicts(found: Mapping[str, Comparison], reference: str) -> list[str]:
    """Of methods, then of networks of which there is one training."""
    methods = {name: row.verdict for name, row in found.items() if row.trainings > 1}
    networks = {name: row.shown for name, row in found.items() if row.trainings < 2}
    said = []
    if methods:
        said.append(
            f"Over trainings and cases against {reference}, "
            f"{_sorted(methods, ('better', 'worse', 'cannot tell'))}."
        )
    if networks:
        said.append(
            f"One training each, this network against that of {reference}, "
            f"{_sorted(networks, ('higher', 'lower', 'cannot tell'))}; {ONE_TRAINING}."
        )
    return said


def _sorted(verdicts: Mapping[str, str], kinds: Sequence[str]) -> str:
    """Such as "better: cps, dvcl; cannot tell: 5 of them, see below"."""
    by_kind = {kind: [name for name, said in verdicts.items() if said == kind] for kind in kinds}
    return "; ".join(f"{kind}: {_named(names)}" for kind, names in by_kind.items() if names)


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= LISTED else f"{len(names)} of them, see below"


def _caveats(
    rows: Rows, found: Mapping[str, Comparison], on_validation: bool, collapses: Collapses
) -> list[str]:
    notes = [limit] if (limit := no_verdict(found)) else []
    if collapses:
        count = sum(map(len, collapses.values()))
        notes.append(f"{counted(count, 'training')} collapsed (†): {_named(list(collapses))}.")
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
