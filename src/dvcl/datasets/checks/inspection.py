"""Read a whole data set once and tell everything that is worth knowing before any work."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from dvcl.datasets.checks.cases import CaseReport, inspect_case
from dvcl.datasets.checks.cohort import organ_findings, unusual_findings
from dvcl.datasets.checks.finding import SEVERITIES, Finding, Severity, findings_of_error
from dvcl.datasets.checks.sides import side_findings
from dvcl.datasets.checks.twins import patient_findings, twin_findings
from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.datasets.pairing import duplicate_ids
from dvcl.errors import InputError

MAX_WORKERS = 4  # each holds one image and one label in memory

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Inspection:
    """What is known of a data set after all its files were read.

    Attributes:
        dataset: What was read.
        reports: One per case, in the data set's order.
        findings: All of them, the worst first.
    """

    dataset: Dataset
    reports: tuple[CaseReport, ...]
    findings: tuple[Finding, ...]

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]


def inspect_dataset(
    dataset: Dataset,
    progress: Progress | None = None,
    *,
    twins: bool = False,
    compared: Progress | None = None,
) -> Inspection:
    """Read every file and judge it; label files of unlabelled cases are not opened.

    Args:
        dataset: What to read.
        progress: Called in this thread with cases done, cases in all and the id of the last one.
        twins: Also look for one scan under two ids.
        compared: Progress of that.
    """
    reports: list[CaseReport] = []
    look = partial(inspect_case, dataset=dataset, fingerprint=twins)
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        for report in pool.map(look, dataset.cases):
            reports.append(report)
            if progress is not None:
                progress(len(reports), len(dataset.cases), report.case.id)
    double = duplicate_ids(dataset.cases) if dataset.cases else [f"{dataset.name}: no cases."]
    findings = findings_of_error("duplicate-id", InputError(double))
    findings += findings_of_error("left-out", InputError(dataset.notes))
    findings += [finding for report in reports for finding in report.findings]
    findings += findings_among(reports, dataset.labels)
    findings += patient_findings(reports)
    if twins:
        findings += twin_findings(reports, compared)
    return Inspection(dataset, tuple(reports), tuple(sorted(findings, key=_rank)))


def findings_among(reports: Sequence[CaseReport], labels: LabelTable) -> list[Finding]:
    """What only a look at all cases shows: organs that lack, swapped sides, unusual scans."""
    return [
        *organ_findings(reports, labels),
        *side_findings(reports, labels.organs),
        *unusual_findings(reports, labels),
    ]


def check_dataset(dataset: Dataset, progress: Progress | None = None) -> Inspection:
    """Inspect a data set, and refuse it if anything would spoil a training run.

    Args:
        dataset: What to read.
        progress: As in `inspect_dataset`.

    Raises:
        InputError: With all findings that are errors: unreadable files, NaN or infinite voxels,
            constant images, labels of another grid or with values outside the table, double ids.
    """
    inspection = inspect_dataset(dataset, progress)
    if errors := inspection.of("error"):
        raise InputError(
            [finding.problem for finding in errors],
            heading=f"data set {dataset.name!r} cannot be used as it is:",
        )
    return inspection


def case_problems(case: Case, labels: LabelTable) -> list[str]:
    """What is wrong with one case's files; empty when nothing is."""
    report = inspect_case(case, Dataset("", "CT", (case,), labels))
    return [finding.problem for finding in report.findings if finding.severity == "error"]


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)
