"""What a data set is like, as far as the settings of its training depend on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from dvcl.datasets.dataset import Case, Dataset, LabelTable, Modality
from dvcl.errors import InputError
from dvcl.planning.case_facts import PERCENTILES, CaseFacts, Lengths, OrganFacts, measure_case

Progress = Callable[[int, int, str], None]

MAX_WORKERS = 4  # each holds one scan and its label

# Where slices are this many times as far apart as pixels, a scan with thinner ones than most shows
# more, and half of the scans should not lose it (as nnU-Net plans).
ANISOTROPY, THIN_SLICES = 3.0, 10.0


@dataclass(frozen=True)
class Fingerprint:
    """A data set in numbers; validation and test cases are counted, and not looked at.

    Attributes:
        name: Of the data set.
        modality: "CT" or "MR".
        organs: Names, in class order.
        counts: Cases by role; those that the split will divide are "undivided".
        cases: Facts of the cases that can be trained on.
    """

    name: str
    modality: Modality
    organs: tuple[str, ...]
    counts: dict[str, int]
    cases: tuple[CaseFacts, ...]

    @cached_property
    def spacing_mm(self) -> Lengths:
        """Median along (z, y, x); thin slices instead where the scans are anisotropic."""
        spacings = np.array([case.spacing_mm for case in self.cases])
        median = np.median(spacings, axis=0)
        coarse = median >= ANISOTROPY * median.min()
        return _lengths(np.where(coarse, np.percentile(spacings, THIN_SLICES, axis=0), median))

    @cached_property
    def is_anisotropic(self) -> bool:
        """Whether slices are at least three times as far apart as pixels, in most scans."""
        median = np.median([case.spacing_mm for case in self.cases], axis=0)
        return bool(median.max() >= ANISOTROPY * median.min())

    @cached_property
    def field_mm(self) -> Lengths:
        """Median field of view along (z, y, x)."""
        return _lengths(np.median([case.field_mm for case in self.cases], axis=0))

    @cached_property
    def body_share(self) -> float:
        """Median share of the body in a scan's volume, in [0, 1]."""
        return float(np.median([case.body_share for case in self.cases]))

    @cached_property
    def body_mm(self) -> Lengths:
        """Median extent of the body along (z, y, x)."""
        return _lengths(np.median([case.body_mm for case in self.cases], axis=0))

    @cached_property
    def body_intensity(self) -> tuple[float, ...]:
        """Medians over cases of `PERCENTILES` inside the body."""
        return _medians([case.body_intensity for case in self.cases])

    @cached_property
    def typical_organs(self) -> dict[str, OrganFacts]:
        """Medians over the labelled cases that show an organ; organs that none shows are absent."""
        found = {name: self._found(name) for name in self.organs}
        return {
            name: OrganFacts(
                float(np.median([fact.volume_ml for fact in facts])),
                _lengths(np.median([fact.chord_mm for fact in facts], axis=0)),
                _medians([fact.intensity for fact in facts]),
            )
            for name, facts in found.items()
            if facts
        }

    @property
    def thinnest(self) -> tuple[str, float]:
        """The organ that is least far across, and how far, in mm."""
        across = {name: min(organ.chord_mm) for name, organ in self.typical_organs.items()}
        name = min(across, key=lambda organ: across[organ])
        return name, across[name]

    def _found(self, name: str) -> list[OrganFacts]:
        return [case.organs[name] for case in self.cases if case.organs and name in case.organs]

    def to_json(self) -> dict[str, Any]:
        """Plain values: the data set's medians first, then every case."""
        return {
            "name": self.name,
            "modality": self.modality,
            "counts": self.counts,
            "orientations": dict(Counter(case.orientation for case in self.cases)),
            "spacing_mm": list(self.spacing_mm),
            "field_mm": list(self.field_mm),
            "body_mm": list(self.body_mm),
            "percentiles": list(PERCENTILES),
            "body_share": self.body_share,
            "body_intensity": list(self.body_intensity),
            "organs": {
                name: {**asdict(organ), "cases": len(self._found(name))}
                for name, organ in self.typical_organs.items()
            },
            "organs_never_seen": [name for name in self.organs if name not in self.typical_organs],
            "cases": [asdict(case) for case in self.cases],
        }


def take_fingerprint(dataset: Dataset, progress: Progress | None = None) -> Fingerprint:
    """Measure the cases that can be trained on, several at a time.

    Args:
        dataset: The raw cases.
        progress: Called as (done, total, case id) after each case.

    Raises:
        InputError: With all files that cannot be used, or when no label map shows an organ.
    """
    cases = [case for case in dataset.cases if case.role in ("labelled", "unlabelled", None)]
    measure = partial(_attempt, labels=dataset.labels, modality=dataset.modality)
    facts: list[CaseFacts] = []
    problems: list[str] = []
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        for done, found in enumerate(pool.map(measure, cases), start=1):
            if isinstance(found, InputError):
                problems += found.problems
            else:
                facts.append(found)
            if progress:
                progress(done, len(cases), cases[done - 1].id)
    if not problems and not any(case.organs for case in facts):
        problems.append("no label map shows an organ; at least one labelled case was expected.")
    if problems:
        raise InputError(problems, heading=f"data set {dataset.name!r} cannot be planned for:")
    counts = Counter[str](case.role or "undivided" for case in dataset.cases)
    return Fingerprint(
        dataset.name, dataset.modality, dataset.labels.organs, dict(counts), tuple(facts)
    )


def _attempt(case: Case, labels: LabelTable, modality: Modality) -> CaseFacts | InputError:
    try:
        return measure_case(case, labels, modality)
    except InputError as error:
        return error


def _medians(rows: list[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.median(rows, axis=0))


def _lengths(values: np.ndarray) -> Lengths:
    depth, height, width = (float(value) for value in values)
    return depth, height, width
