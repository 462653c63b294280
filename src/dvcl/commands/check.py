"""Look at a data set before any work: what is wrong, what is there, what preparing it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from dvcl.commands.estimate import Estimate, estimate_preparation
from dvcl.datasets.checks import SEVERITIES, Finding, findings_of_error, inspect_dataset
from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.dataset import Dataset
from dvcl.errors import InputError
from dvcl.recipe import load_recipe

Progress = Callable[[int, int, str], None]
OVERLAPS = ("same-voxels", "same-scan")


@dataclass(frozen=True)
class Checked:
    """The outcome of a check.

    Attributes:
        dataset: What was looked at; None where the folders could not be understood.
        reports: One per case.
        findings: The worst first.
        estimate: Of the preparation; None where there is nothing to prepare.
    """

    dataset: Dataset | None
    reports: tuple[CaseReport, ...]
    findings: tuple[Finding, ...]
    estimate: Estimate | None

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def exit_code(self, strict: bool) -> int:
        """1 with errors, and with warnings where they count; else 0."""
        return int(self.counts["error"] > 0 or (strict and self.counts["warning"] > 0))

    def to_json(self) -> dict[str, Any]:
        """Everything for programs; codes are those of `CODES`."""
        return {
            "data": self.dataset.name if self.dataset else None,
            "modality": self.dataset.modality if self.dataset else None,
            "counts": self.counts,
            "findings": [finding.to_json() for finding in self.findings],
            "cases": [_case_json(report) for report in self.reports],
            "preparation": self.estimate.to_json() if self.estimate else None,
        }


def check_scans(
    find: Callable[[], Dataset],
    recipe: str | None = None,
    changes: Sequence[str] = (),
    *,
    allow_overlap: bool = False,
    checked: Progress | None = None,
    compared: Progress | None = None,
) -> Checked:
    """Find the cases, read them all and judge them.

    Args:
        find: Finds the data set; what it finds wrong in its folders becomes findings.
        recipe: To estimate the preparation with; small-ct or small-mr by default.
        changes: Of the recipe's settings.
        allow_overlap: The same scan in two parts is a note.
        checked: Progress over the cases.
        compared: Progress of the comparison between cases.

    Raises:
        InputError: When the command itself is wrong, such as an unknown layout or recipe.
    """
    try:
        dataset = find()
    except InputError as error:
        # Loaders put what they find wrong with a data set under a heading; an error without one is
        # about the command line.
        if not error.heading:
            raise
        return Checked(None, (), tuple(findings_of_error("layout", error)), None)
    chosen = recipe or ("small-ct" if dataset.modality == "CT" else "small-mr")
    settings = load_recipe(chosen, changes)
    inspection = inspect_dataset(dataset, checked, twins=True, compared=compared)
    estimate, unfitting = estimate_preparation(inspection.reports, settings)
    findings = [*inspection.findings, *unfitting]
    if allow_overlap:
        findings = [
            replace(finding, code="allowed-overlap", remedy="")
            if finding.code in OVERLAPS
            else finding
            for finding in findings
        ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Checked(dataset, inspection.reports, tuple(findings), estimate)


@dataclass(frozen=True)
class OrganSummary:
    """One organ over all label maps that show it.

    Attributes:
        organ: Name.
        cases: That show it.
        of: Label maps looked at.
        volumes_ml: (least, median, most).
        voxels: Median.
    """

    organ: str
    cases: int
    of: int
    volumes_ml: tuple[float, float, float]
    voxels: int


def summarise_organs(checked: Checked) -> list[OrganSummary]:
    """Every organ that some label map shows, in the order of the classes."""
    shown = [report.organs for report in checked.reports if report.organs is not None]
    summaries = []
    for organ in checked.dataset.labels.organs if checked.dataset else ():
        places = [organs[organ] for organs in shown if organ in organs]
        if places:
            volumes = [place.volume_ml for place in places]
            spread = min(volumes), median(volumes), max(volumes)
            voxels = round(median(place.voxels for place in places))
            summaries.append(OrganSummary(organ, len(places), len(shown), spread, voxels))
    return summaries


def _case_json(report: CaseReport) -> dict[str, Any]:
    case, found = report.case, report.intensities
    return {
        "id": case.id,
        "role": case.role,
        "image": str(case.image),
        "label": str(case.label) if case.label else None,
        "shape": list(report.geometry.shape) if report.geometry else None,
        "spacing_mm": list(report.geometry.spacing_mm) if report.geometry else None,
        "orientation": report.geometry.orientation if report.geometry else None,
        "intensities": [found.low, found.middle, found.high] if found else None,
        "voxels_sha256": report.fingerprint.voxels_sha256 if report.fingerprint else None,
        "organs": {
            name: {"voxels": place.voxels, "volume_ml": round(place.volume_ml, 4)}
            for name, place in (report.organs or {}).items()
        },
    }
