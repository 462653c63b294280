"""A table of paired differences: how large, how sure, and what could have been shown."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dvcl.evaluation.statistics import Comparison, Interval
from dvcl.evaluation.twin import Twins
from dvcl.report.tables import UNDEFINED, TextTable, percent


def difference_table(found: Mapping[str, Comparison], reference: str) -> TextTable:
    """Each method's Dice minus the reference's, in percentage points.

    Args:
        found: From `statistics.compare_pairs`.
        reference: Name of the method that the others are held against.
    """
    rows = tuple(
        (
            name,
            _points(row.difference.mean),
            _interval(row.difference),
            _p(row.p_adjusted),
            UNDEFINED if math.isnan(row.effect) else f"{row.effect:+.2f}",
            _points(row.detectable).removeprefix("+"),
            row.verdict,
        )
        for name, row in found.items()
    )
    counts = [row.difference.cases for row in found.values()]
    fewest, most = min(counts, default=0), max(counts, default=0)
    least = max((row.smallest_p for row in found.values()), default=math.nan)
    limit = (
        f" With {fewest} cases p cannot fall below {_p(least)} at all."
        if least > 0.05 / max(1, len(found))
        else ""
    )
    return TextTable(
        ("Method", "Dice, points", "95 % interval", "p, Holm", "Effect",
         "Would show", "Verdict"),
        rows,
        f"Against {reference}: mean difference of the mean Dice of "
        f"{fewest if fewest == most else f'{fewest} to {most}'} cases, averaged over the seeds "
        "that both have, with a bootstrap interval over cases; Wilcoxon signed-rank test, "
        "corrected for all rows; effect: rank-biserial correlation; would show: the difference "
        "that these cases would have shown in four of five studies. The test is about other cases, "
        "not about other trainings: one "
        f"seed may differ from the next by more.{limit}",
    )  # fmt: skip


def twin_report(twins: Twins, method: str, twin: str) -> tuple[str, TextTable]:
    """The answer in a sentence, and the table behind it."""
    return twin_answer(twins, method), twin_table(twins, method, twin)


def twin_table(twins: Twins, method: str, twin: str) -> TextTable:
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
            against.comparison.verdict,
        )
        for organ, against in found.items()
    )
    return TextTable(
        ("Organ", f"{twin} %", f"{method} %", "Points", "95 % interval", "p", "Verdict"),
        rows,
        "Dice of the test cases that have the organ, averaged over the seeds that both have, and "
        "the mean difference with a bootstrap interval over cases; Wilcoxon signed-rank test, "
        "corrected for all organs (Holm); the mean over organs is one test, without a correction.",
        means=1,
    )


def twin_answer(twins: Twins, method: str) -> str:
    """Whether the unlabelled scans helped, in a sentence."""
    mean = twins.mean.comparison
    words = {"better": "yes", "worse": "no, they did harm", "cannot tell": "cannot tell"}
    verdicts = [against.comparison.verdict for against in twins.organs.values()]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {verdict}" for verdict in words if verdict in verdicts
    )
    return (
        f"Did the unlabelled scans help {method}? {words[mean.verdict].capitalize()}: "
        f"{_points(mean.difference.mean)} points of mean Dice (95 % {_interval(mean.difference)}, "
        f"p {_p(mean.p_adjusted)}, {mean.difference.cases} test cases); by organ: {counts}."
    )


def _points(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{100 * value:+.2f}"


def _interval(interval: Interval) -> str:
    if math.isnan(interval.low):
        return UNDEFINED
    return f"{_points(interval.low)} to {_points(interval.high)}"


def _p(value: float) -> str:
    if math.isnan(value):
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
