"""reliability.json: how often a run's probabilities were right on the cases it was scored on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np

from dvcl.evaluation.calibration_error import BINS, CalibrationCounts
from dvcl.files import write_json
from dvcl.records import Amount, Rule, read_record
from dvcl.studies.run import Run

REMEDY = "Delete it and run `dvcl evaluate` again."

Counts = Annotated[list[Amount], Rule(lambda counts: len(counts) == BINS, f"{BINS} numbers")]


class OrganRecord(TypedDict):
    """An organ in the file; voxels by their probability, in equal steps from 0 to 1."""

    voxels: Counts
    hits: Counts
    confidence: Counts
    overlooked: Amount
    error: float | None


class ReliabilityRecord(TypedDict):
    """The file."""

    weights: str | None
    organs: dict[str, OrganRecord]


def write_reliability(run: Run, counts: CalibrationCounts, weights: str | None) -> None:
    """Write what was counted over a run's scored cases, of these weights."""
    organs = {
        name: {
            "voxels": counts.voxels[index].tolist(),
            "hits": counts.hits[index].tolist(),
            "confidence": counts.confidence[index].tolist(),
            "overlooked": float(counts.overlooked[index]),
            "error": None if np.isnan(counts.error[index]) else float(counts.error[index]),
        }
        for index, name in enumerate(run.labels.organs, start=1)
    }
    write_json(_file(run), {"weights": weights, "organs": organs})


def read_reliability(run: Run, weights: str | None) -> CalibrationCounts | None:
    """What was counted with these weights, class 0 left empty; None where nothing was.

    Raises:
        InputError: When the file is damaged.
    """
    if not _file(run).exists():
        return None
    with read_record(_file(run), ReliabilityRecord, REMEDY) as record:
        if record["weights"] != weights:
            return None
        counts = CalibrationCounts.none(run.labels.classes)
        for index, name in enumerate(run.labels.organs, start=1):
            _fill(counts, index, record["organs"][name])
        return counts


def _fill(counts: CalibrationCounts, index: int, organ: Mapping) -> None:
    counts.voxels[index] = organ["voxels"]
    counts.hits[index] = organ["hits"]
    counts.confidence[index] = organ["confidence"]
    counts.overlooked[index] = organ["overlooked"]


def _file(run: Run) -> Path:
    return run.folder / ("reliability.json" if run.weights == "best" else "reliability-last.json")
