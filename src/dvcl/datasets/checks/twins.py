"""One scan under two ids, and one patient in two parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.checks.finding import Finding
from dvcl.leaks.likeness import Progress
from dvcl.leaks.overlap import Twins, find_twins
from dvcl.leaks.patients import shared_patients


def twin_findings(reports: Sequence[CaseReport], progress: Progress | None = None) -> list[Finding]:
    """Pairs of cases that are one scan, or look like it; worse where they serve two purposes."""
    by_id = {report.case.id: report for report in reports}
    prints = {case: r.fingerprint for case, r in by_id.items() if r.fingerprint is not None}
    worst: dict[str, Twins] = {}
    for pair in find_twins(prints, progress):
        # Ten copies of a scan are nine findings, not forty-five: each case is named once.
        known = worst.setdefault(pair.second, pair)
        worst[pair.second] = max(known, pair, key=lambda found: _weight(found, by_id))
    return [_finding(pair, by_id) for pair in worst.values()]


def patient_findings(reports: Sequence[CaseReport]) -> list[Finding]:
    """Ids that hint at one patient in several parts; cases without a role have no part yet."""
    parts: dict[str, list[str]] = {}
    for report in reports:
        if report.case.role is not None:
            parts.setdefault(report.case.role, []).append(report.case.id)
    return [
        Finding(
            "same-patient",
            patient,
            "the ids hint at one patient in two parts: "
            f"{', '.join(f'{case} ({role})' for role, case in places)}.",
            "If so, move all its scans into one part.",
            numbers={"cases": [case for _, case in places]},
        )
        for patient, places in shared_patients(parts).items()
    ]


def _are_in_one_part(pair: Twins, by_id: Mapping[str, CaseReport]) -> bool:
    roles = by_id[pair.first].case.role, by_id[pair.second].case.role
    return roles[0] == roles[1] or None in roles


def _weight(pair: Twins, by_id: Mapping[str, CaseReport]) -> tuple[bool, bool, float]:
    return pair.is_certain, not _are_in_one_part(pair, by_id), pair.likeness


def _finding(pair: Twins, by_id: Mapping[str, CaseReport]) -> Finding:
    first, second = by_id[pair.first], by_id[pair.second]
    roles = first.case.role, second.case.role
    code = "same-voxels" if pair.same_voxels else "same-scan" if pair.is_certain else "alike"
    if _are_in_one_part(pair, by_id) and code != "alike":
        code += "-one-part"
    said = {
        "same-voxels": "has the same voxels as",
        "same-scan": "is the same scan, resampled, cropped, windowed or mirrored, as",
        "alike": "looks like",
    }[code.removesuffix("-one-part")]
    likeness = "" if pair.same_voxels else f", likeness {pair.likeness:.2f}"
    return Finding(
        code,
        str(second.case.image),
        f"{said} {first.case.image} ({roles[0] or 'no role'} and {roles[1] or 'no role'}"
        f"{likeness}).",
        _remedy(code),
        second.case.id,
        {"other": first.case.id, "likeness": round(pair.likeness, 4)},
    )


def _remedy(code: str) -> str:
    if code == "alike":
        return "Look at both; if they are one scan, remove one."
    if code.endswith("-one-part"):
        return "Remove one: it would count twice, or come into two parts of a split."
    return "Remove one, since results would be too good; or take it as it is with --allow-overlap."
