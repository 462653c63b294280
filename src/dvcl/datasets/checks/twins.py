"""One scan under two ids, and one patient in two parts."""

from __future__ import annotations

from collections.abc import Sequence

from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.checks.finding import Finding
from dvcl.leaks.likeness import Progress
from dvcl.leaks.overlap import Twins, find_twins
from dvcl.leaks.patients import shared_patients


def twin_findings(reports: Sequence[CaseReport], progress: Progress | None = None) -> list[Finding]:
    """Pairs of cases that are one scan, or look like it; worse where they serve two purposes."""
    by_id = {report.case.id: report for report in reports}
    prints = {case: r.fingerprint for case, r in by_id.items() if r.fingerprint is not None}
    return [
        _finding(by_id[pair.first], by_id[pair.second], pair)
        for pair in find_twins(prints, progress)
    ]


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


def _finding(first: CaseReport, second: CaseReport, pair: Twins) -> Finding:
    roles = first.case.role, second.case.role
    code = "same-voxels" if pair.same_voxels else "same-scan" if pair.is_certain else "alike"
    in_one_part = roles[0] == roles[1] or None in roles
    if in_one_part and code != "alike":
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
