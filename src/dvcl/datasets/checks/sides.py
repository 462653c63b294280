"""Left and right: organs whose names say a side but that lie on the other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.checks.finding import Finding
from dvcl.errors import counted

LEFT, RIGHT = ("left", "lt", "l"), ("right", "rt", "r")
LISTED = 5


def side_pairs(organs: Sequence[str]) -> list[tuple[str, str]]:
    """Find organs of both sides by name: [("left kidney", "right kidney"), ...]."""
    by_words = {_words(organ): organ for organ in organs}
    pairs = []
    for words, organ in by_words.items():
        for left, right in zip(LEFT, RIGHT, strict=True):
            if left in words:
                other = tuple(right if word == left else word for word in words)
                if other in by_words:
                    pairs.append((organ, by_words[other]))
    return pairs


def side_findings(reports: Sequence[CaseReport], organs: Sequence[str]) -> list[Finding]:
    """Cases in which left organs lie to the right of their right counterparts.

    In most cases: names or headers of the whole set are mirrored, one finding says so. In few:
    these label maps or headers are.
    """
    swapped: dict[str, list[str]] = {}
    sound = 0
    for report in reports:
        found = _swapped_pairs(report, side_pairs(organs))
        if found:
            swapped[report.case.id] = found
        elif found is not None:
            sound += 1
    if len(swapped) > sound:
        return [_everywhere(swapped, sound)]
    return [_in_one_case(report, swapped) for report in reports if report.case.id in swapped]


def _swapped_pairs(report: CaseReport, pairs: Sequence[tuple[str, str]]) -> list[str] | None:
    """Pairs on the wrong sides, with the distance; None where the case shows no pair."""
    places = report.organs or {}
    shown = [(left, right) for left, right in pairs if left in places and right in places]
    if not shown:
        return None
    return [
        f"{left} lies {places[left].x_mm - places[right].x_mm:.0f} mm to the right of {right}"
        for left, right in shown
        if places[left].x_mm > places[right].x_mm
    ]


def _in_one_case(report: CaseReport, swapped: dict[str, list[str]]) -> Finding:
    return Finding(
        "sides-swapped",
        str(report.case.label),
        f"{'; '.join(swapped[report.case.id])}; in the other cases it is the other way round.",
        "Look at it: either the two labels are swapped, or the header mirrors the scan.",
        report.case.id,
    )


def _everywhere(swapped: dict[str, list[str]], sound: int) -> Finding:
    case, pairs = next(iter(swapped.items()))
    return Finding(
        "sides-swapped",
        "all cases" if not sound else f"{len(swapped)} of {counted(len(swapped) + sound, 'case')}",
        f"left organs lie to the right of right ones (in {case}: {pairs[0]}).",
        "Either the names in the labels file are swapped, or the headers mirror the scans.",
        numbers={"cases": sorted(swapped)},
    )


def _words(organ: str) -> tuple[str, ...]:
    """("left", "kidney") for "left kidney" and "LeftKidney", ("kidney", "l") for "kidney_L"."""
    apart = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", organ)
    return tuple(re.findall(r"[^\W_]+", apart.casefold()))
