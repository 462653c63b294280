"""Chapters of a model card on how well a run does, and where it is not to be trusted."""

from __future__ import annotations

import math

from dvcl.commands.card_claim import BY_YOU
from dvcl.commands.card_known import Known
from dvcl.errors import counted, counted_are
from dvcl.evaluation.statistics import Interval, mean_interval
from dvcl.report.tables import UNDEFINED, TextTable, percent
from dvcl.report.written import Chapter

FEW_CASES = 20  # of a test: below, the interval of a mean says little about rare failures
LOW_DICE = 0.7  # below, an organ is named among the limits


def scores_chapter(known: Known) -> Chapter:
    """Of every organ, with intervals."""
    if not known.scores:
        return Chapter(
            "Scores", ("There are none of these weights: `dvcl evaluate RUN` makes them.",)
        )
    summary = known.summary
    rows = []
    for organ in summary.organs:
        dice = {row.case: row.dice for row in known.scores if row.organ == organ.organ}
        rows.append(
            (organ.organ, *with_interval(mean_interval(dice)), percent(organ.nsd.mean),
             _mm(organ.hd95_mm.mean), str(organ.dice.defined), str(organ.missed))
        )  # fmt: skip
    interval = mean_interval(summary.case_dice)
    rows.append(
        ("Mean of each case", *with_interval(interval), percent(summary.mean_nsd),
         _mm(summary.mean_hd95_mm), str(interval.cases), str(summary.missed[0]))
    )  # fmt: skip
    return Chapter(
        "Scores",
        (
            TextTable(
                ("Organ", "Dice %", "95 % interval", "NSD %", "HD95 mm", "Scans", "Missed"),
                tuple(rows),
                f"Of {counted(known.scan_count, f'{known.tested} scan')}. The interval is that of "
                "the mean over other scans like these, for this one training; another training of "
                "the same settings differs too (docs/statistics.md). Missed: no voxel of it was "
                "predicted.",
                means=1,
            ),
        ),
    )


def with_interval(found: Interval) -> tuple[str, str]:
    """Mean, and both ends; a share lies between 0 and 1."""
    if math.isnan(found.low):
        return percent(found.mean), UNDEFINED
    return percent(found.mean), f"{percent(max(0, found.low))} to {percent(min(1, found.high))}"


def _mm(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.1f}"


def limits_chapter(known: Known) -> Chapter:
    """Of what is known about them."""
    return Chapter("Limits", (*_limits_known(known), f"Other limits that you know of: {BY_YOU}."))


def _limits_known(known: Known) -> list[str]:
    split = known.run.split
    told = [known.run.unfinished().partition(": ")[2].capitalize()]
    told.append(
        f"It learned from {counted(len(split.labelled), 'labelled scan')}. Other scanners, "
        "protocols, ages, anatomy after surgery and disease that these do not show are unknown to "
        "it. `dvcl predict` doubts scans and masks that are unlike what it learned from; what it "
        "does not doubt may be wrong too."
    )
    if predicted := len(known.run.pseudo_labelled):
        told.append(
            f"The labels of {predicted} of these scans are pseudo-labels: another run has "
            "predicted them, nobody has drawn or corrected them. It may have learned that run's "
            "errors."
        )
    if not split.test:
        told.append(
            "It has no test scans: scores are of the validation scans, which chose the weights, "
            "and are too high."
        )
    if 0 < known.scan_count < FEW_CASES:
        told.append(
            f"{counted_are(known.scan_count, 'scored scan')} too few to show rare failures."
        )
    weak = [f"{o.organ} ({percent(o.dice.mean)})" for o in known.summary.organs
            if o.dice.mean < LOW_DICE]  # fmt: skip
    if weak:
        told.append(f"Dice below {percent(LOW_DICE)} %: {', '.join(weak)}.")
    told.append("No scans of another study were scored: how it does elsewhere is not known.")
    return [*filter(None, told)]


def doubts_chapter(known: Known) -> Chapter:
    """Of those about the scored scans."""
    if known.doubts is None:
        return Chapter("Doubts", ("Not looked for: `dvcl evaluate RUN` does.",))
    if not known.doubts:
        return Chapter("Doubts", ("About the scored scans and their masks: none.",))
    rows = tuple((code, str(count)) for code, count in sorted(known.doubts.items()))
    caption = "What each means: docs/prediction.md."
    return Chapter("Doubts", (TextTable(("Doubt", "Scored scans"), rows, caption),))
