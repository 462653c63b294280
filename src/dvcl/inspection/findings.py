"""What an inspection of runs found, and its numbers as JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvcl.evaluation.embedding import perplexity
from dvcl.evaluation.feature_space import FEWEST, ClassDistances
from dvcl.evaluation.reliability import Reliability
from dvcl.files import sha256_of_json
from dvcl.store import StoredCase
from dvcl.studies.run import Run

SCALE = "Euclidean, between features that are divided by their lengths; from 0 to 2"


@dataclass(frozen=True)
class Sight:
    """What one run makes of the cases.

    Attributes:
        reliability: Voxels by true class, of all cases together.
        dice: (K - 1,) of the organs, mean over the cases that show them.
        reliable: (N,) bool of the drawn voxels.
        places: (N, 2) of the drawn voxels, by t-SNE.
        distances: Between and within classes, of the drawn voxels.
    """

    reliability: Reliability
    dice: np.ndarray
    reliable: np.ndarray
    places: np.ndarray
    distances: ClassDistances


@dataclass(frozen=True)
class Inspection:
    """Several runs, looked at side by side.

    Attributes:
        runs: By their names.
        cases: That were looked at.
        drawn: Per case (n, 4) rows (class, d, h, w).
        sights: Of every run.
        role: Of the cases.
        alpha: Of Eq. 3.
        seed: Of the draw and of t-SNE.
    """

    runs: Mapping[str, Run]
    cases: Sequence[StoredCase]
    drawn: Sequence[np.ndarray]
    sights: Mapping[str, Sight]
    role: str
    alpha: float
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return next(iter(self.runs.values())).labels.names

    @property
    def classes(self) -> np.ndarray:
        """True class (N,) of the drawn voxels."""
        return np.concatenate(self.drawn)[:, 0]

    @property
    def per_class(self) -> int:
        """Voxels drawn of every class that occurs."""
        return int(np.bincount(self.classes).max())


def to_json(found: Inspection) -> dict[str, Any]:
    """All numbers; null where one is not defined."""
    return {
        "role": found.role,
        "cases": [case.id for case in found.cases],
        "classes": list(found.names),
        "voxels_per_class": found.per_class,
        "absent": [
            f"{name}: fewer than {FEWEST} voxels"
            for index, name in enumerate(found.names)
            if index not in found.classes
        ],
        "alpha": found.alpha,
        "seed": found.seed,
        "perplexity": perplexity(len(found.classes)),
        "distances": SCALE,
        "runs": {name: _sight(run, found.sights[name]) for name, run in found.runs.items()},
    }


def voxels_csv(found: Inspection) -> str:
    """Every drawn voxel and where each run sees it, to draw the figure otherwise."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("run", "case", "d", "h", "w", "class", "reliable", "x", "y"))
    voxels = [
        (case.id, *place, found.names[index])
        for case, rows in zip(found.cases, found.drawn, strict=True)
        for index, *place in rows.tolist()
    ]
    for name, sight in found.sights.items():
        for voxel, sure, place in zip(voxels, sight.reliable, sight.places, strict=True):
            writer.writerow((name, *voxel, int(sure), *(f"{axis:.3f}" for axis in place)))
    return text.getvalue()


def _sight(run: Run, sight: Sight) -> dict[str, Any]:
    distances = sight.distances
    return {
        "method": run.method,
        "seed": run.seed,
        "settings_hash": sha256_of_json(run.settings),
        "voxels": sight.reliability.every.tolist(),
        "reliable_share": _plain(sight.reliability.share),
        "reliable_and_right_share": _plain(sight.reliability.right_share),
        "dice": _plain(np.array([np.nan, *sight.dice])),
        "farthest": _plain(distances.farthest),
        "mean_pair": _plain(distances.pairs),
        "centres": [_plain(row) for row in distances.centres],
        "mean_between": _plain(np.array([distances.between]))[0],
        "mean_within": _plain(np.array([distances.within]))[0],
    }


def _plain(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN: null is what is not defined."""
    return [None if math.isnan(value) else value for value in values.tolist()]
