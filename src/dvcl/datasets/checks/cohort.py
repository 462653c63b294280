"""Cases among each other: organs that lack, and scans unlike the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.checks.finding import Finding
from dvcl.datasets.dataset import LabelTable
from dvcl.errors import counted, some_of
from dvcl.volume.grid import by

FEWEST = 8  # cases, below which nothing can be called unusual
UNUSUAL = 4.0  # robust standard deviations, of logarithms
# A set whose cases are all alike has no spread: differences below these factors are never unusual.
LEAST_SPREAD = {"odd-spacing": 0.1, "odd-size": 0.1, "odd-volume": 0.1}
TO_SIGMA = 1.4826  # median absolute deviation -> standard deviation of a normal distribution


def organ_findings(reports: Sequence[CaseReport], labels: LabelTable) -> Iterator[Finding]:
    """Organs that some or all label maps lack, and organs cut by the border."""
    shown = [report for report in reports if report.organs]
    for organ in labels.organs if shown else ():
        having = [report for report in shown if organ in (report.organs or {})]
        lacking = [
            report.case.id
            for report in shown
            if organ not in {*(report.organs or {}), *report.case.unannotated}
        ]
        cut = [report.case.id for report in having if (report.organs or {})[organ].at_border]
        if not having:
            yield Finding(
                "organ-never",
                organ,
                f"no label map shows it ({len(shown)} looked at).",
                "Correct the labels file or leave the organ out: it cannot be learned.",
            )
        elif lacking:
            yield Finding(
                "organ-absent",
                organ,
                f"is absent from {len(lacking)} of {counted(len(shown), 'label map')}: "
                f"{some_of(lacking)}.",
                numbers={"cases": lacking},
            )
        if cut:
            yield Finding(
                "organ-at-border",
                organ,
                f"reaches the border of the scan in {len(cut)} of "
                f"{counted(len(having), 'label map')}: {some_of(cut)}.",
                numbers={"cases": cut},
            )


def unusual_findings(reports: Sequence[CaseReport], labels: LabelTable) -> Iterator[Finding]:
    """Voxel spacings, fields of view and organ volumes far from those of the other cases."""
    spacings = {r.case.id: r.spacing_mm for r in reports if r.spacing_mm}
    fields = {
        r.case.id: tuple(n * mm for n, mm in zip(r.size, r.spacing_mm, strict=True))
        for r in reports
        if r.size and r.spacing_mm
    }
    images = {report.case.id: str(report.case.image) for report in reports}
    for case, (middle, found) in _unusual(spacings, "odd-spacing").items():
        yield Finding(
            "odd-spacing",
            images[case],
            f"voxels of {by(found)} mm (z, y, x of the patient); the median is {by(middle)} mm.",
            case=case,
            numbers={"spacing_mm": list(found), "median_mm": list(middle)},
        )
    for case, (middle, found) in _unusual(fields, "odd-size").items():
        yield Finding(
            "odd-size",
            images[case],
            f"covers {_whole(found)} mm (z, y, x of the patient); the median is {_whole(middle)} "
            "mm.",
            case=case,
            numbers={"field_mm": list(found), "median_mm": list(middle)},
        )
    yield from _unusual_volumes(reports, labels)


def _unusual_volumes(reports: Sequence[CaseReport], labels: LabelTable) -> Iterator[Finding]:
    files = {report.case.id: str(report.case.label) for report in reports}
    for organ in labels.organs:
        volumes = {
            report.case.id: (report.organs[organ].volume_ml,)
            for report in reports
            if report.organs and organ in report.organs
        }
        for case, (middle, found) in _unusual(volumes, "odd-volume").items():
            yield Finding(
                "odd-volume",
                files[case],
                f"{organ} has {found[0]:.3g} ml; the median is {middle[0]:.3g} ml.",
                case=case,
                numbers={"organ": organ, "volume_ml": found[0], "median_ml": middle[0]},
            )


def _unusual(
    values: Mapping[str, Sequence[float]], code: str
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Cases with a value far from the median: (medians, their own values)."""
    if len(values) < FEWEST:
        return {}
    table = np.array(list(values.values()))
    logarithms = np.log(table)
    middle = np.median(logarithms, axis=0)
    spread = TO_SIGMA * np.median(np.abs(logarithms - middle), axis=0)
    distance = np.abs(logarithms - middle) / np.maximum(spread, LEAST_SPREAD[code])
    far = (distance > UNUSUAL).any(axis=1)
    return {
        case: (tuple(np.exp(middle).tolist()), tuple(row.tolist()))
        for case, row, is_far in zip(values, table, far, strict=True)
        if is_far
    }


def _whole(lengths: Sequence[float]) -> str:
    return " x ".join(f"{length:.0f}" for length in lengths)
