"""Tables of differences: how large, how sure, of what, and what could have been shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dvcl.evaluation.collapse import Collapses, dagger, told
from dvcl.evaluation.statistics import LEVEL, Comparison, Interval, cases_needed
from dvcl.evaluation.twin import Twins
from dvcl.methods import METHODS
from dvcl.report.tables import UNDEFINED, TextTable, percent

ONE_TRAINING = "method: cannot tell from one training"
# What "p" and "interval" are, where there are several trainings and where there is one.
TEST = "Interval and p take in that other trainings and other cases differ (docs/statistics.md)"
ONE = (
    f"One training each: interval and p are about other cases for this network and that one; "
    f"{ONE_TRAINING}."
)


def difference_table(
    found: Mapping[str, Comparison], reference: str, collapses: Collapses | None = None
) -> TextTable:
    """Each method's Dice minus the reference's, in percentage points.

    Args:
        found: From `statistics.compare_pairs`.
        reference: Name of the method that the others are held against.
        collapses: Trainings to be marked, from `collapse.collapsed`.
    """
    rows = tuple(
        (
            f"{name}{dagger(name, collapses or {})}",
            str(row.trainings),
            _points(row.difference.mean),
            _interval(row.difference),
            _p(row.p_adjusted),
            _detectable(row),
            verdict_of(row),
        )
        for name, row in found.items()
    )
    counts = [row.difference.cases for row in found.values()]
    fewest, most = min(counts, default=0), max(counts, default=0)
    several = any(row.trainings > 1 for row in found.values())
    notes = [
        f"Against {reference}: mean difference of the mean Dice of "
        f"{fewest if fewest == most else f'{fewest} to {most}'} cases, over the trainings "
        "(seeds) that both have.",
        f"{TEST}; p is corrected for all rows (Holm)." if several else "",
        f"{ONE} p is corrected for all rows (Holm)." if not several else "",
        "Would show: the difference that as many trainings and cases would have shown, so "
        "corrected, in four of five studies.",
        ONE if several and any(row.trainings < 2 for row in found.values()) else "",
        no_verdict(found),
        told(collapses or {}),
    ]
    return TextTable(
        ("Method", "Trainings", "Dice, points", "95 % interval", "p, Holm", "Would show",
         "Verdict"),
        rows,
        " ".join(filter(None, notes)),
    )  # fmt: skip


def verdict_of(row: Comparison) -> str:
    """About the method; of one training about this network alone."""
    if row.trainings > 1 or row.shown == "cannot tell":
        return row.verdict
    return f"this network {row.shown}"


def no_verdict(found: Mapping[str, Comparison]) -> str:
    """That so few cases can show nothing in so many rows, where it is so."""
    rows = sum(row.difference.cases > 0 for row in found.values())
    out_of_reach = [row for row in found.values() if row.smallest_p >= LEVEL]
    if not out_of_reach:
        return ""
    few = min(out_of_reach, key=lambda row: row.difference.cases)
    return (
        f"With {_count(few.difference.cases, 'case')} and {_count(rows, 'row')} p cannot fall "
        f"below {_p(few.smallest_p)}: no verdict is possible; {cases_needed(rows)} cases would be "
        "needed."
    )


def twin_report(
    twins: Twins, method: str, twin: str, scored: str = "test"
) -> tuple[str, TextTable]:
    """The answer in a sentence, and the table behind it; ``scored`` says which cases were."""
    return twin_answer(twins, method, twin, scored), twin_table(twins, method, twin, scored)


def twin_table(twins: Twins, method: str, twin: str, scored: str = "test") -> TextTable:
    """A method against its twin: every organ, and the mean over organs."""
    found = {**twins.organs, "Mean": twins.mean}
    rows = tuple(
        (
            organ,
            percent(against.other),
            percent(against.dice),
            _points(against.comparison.difference.mean),
            _interval(against.comparison.difference),
            _p(against.comparison.p_adjusted),
            verdict_of(against.comparison),
        )
        for organ, against in found.items()
    )
    trainings = twins.mean.comparison.trainings
    notes = [
        f"Dice of the {scored} cases that have the organ, averaged over the seeds that both have, "
        "and the mean difference.",
        f"{TEST}, {trainings} trainings of each." if trainings > 1 else ONE,
        "p is corrected for all organs (Holm); the mean over organs is one test, without a "
        "correction.",
        no_verdict({organ: against.comparison for organ, against in twins.organs.items()}),
    ]
    return TextTable(
        ("Organ", f"{twin} %", f"{method} %", "Points", "95 % interval", "p", "Verdict"),
        rows,
        " ".join(filter(None, notes)),
        means=1,
    )


def twin_answer(twins: Twins, method: str, twin: str, scored: str = "test") -> str:
    """Whether the unlabelled scans helped, in a sentence.

    A method may have more than the unlabelled scans: two networks where the twin has one, or
    supervised terms of its own. It is asked whether all of that together helped.
    """
    kind = METHODS[method]
    network = "" if kind.control == twin else "a second network"
    others = ", ".join(filter(None, (network, kind.supervised_extra)))
    what = f"{others} and the unlabelled scans" if others else "the unlabelled scans"
    question = f"Did {what} help {method}?"
    mean = twins.mean.comparison
    found = (
        f"{_points(mean.difference.mean)} points of mean Dice (95 % {_interval(mean.difference)}, "
        f"p {_p(mean.p_adjusted)}, {mean.difference.cases} {scored} cases"
    )
    organs = _counted([verdict_of(against.comparison) for against in twins.organs.values()])
    if mean.trainings < 2:
        return (
            f"{question} Cannot tell from one training of each: "
            f"another seed may turn it round. This network against that one: {verdict_of(mean)}, "
            f"{found}); by organ: {organs}."
        )
    words = {"better": "Yes", "worse": "No, they did harm", "cannot tell": "Cannot tell"}
    return (
        f"{question} {words[mean.verdict]}: {found}, "
        f"{mean.trainings} trainings of each); by organ: {organs}."
    )


def _counted(verdicts: Sequence[str]) -> str:
    return ", ".join(f"{verdicts.count(one)} {one}" for one in sorted(set(verdicts)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _points(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{100 * value:+.2f}"


def _interval(interval: Interval) -> str:
    if math.isnan(interval.low):
        return UNDEFINED
    return f"{_points(interval.low)} to {_points(interval.high)}"


def _detectable(row: Comparison) -> str:
    if math.isinf(row.detectable):
        return "nothing"
    return _points(row.detectable).removeprefix("+")


def _p(value: float) -> str:
    if math.isnan(value):
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
