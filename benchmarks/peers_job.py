"""What nnU-Net, a MONAI network and dvcl's methods are given to learn from, and for how long.

Every trainer trains on a job's labelled cases and writes label maps of its test cases on the
scans' own voxels. Only training counts: the clock stands while data are prepared beforehand, while
validation cases are predicted, and before the test.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvcl.datasets.dataset import Case
from dvcl.recipe import Recipe
from dvcl.splits import Split
from dvcl.studies.project import Project
from dvcl.volume import volume_stem


@dataclass(frozen=True)
class Job:
    """What is to be learned from, for how long, and where it goes.

    Attributes:
        project: The prepared study; peers take the paths of its files.
        recipe: dvcl's settings.
        split: Which case is for what.
        seconds: Of the processor, for training.
        seed: Of initialisation and sampling.
        folder: New folder for what is written.
        patch: MONAI's patch in voxels, (x, y, z).
        spacing_mm: MONAI's voxels, (x, y, z).
        mirroring: For peers; dvcl's flips are in its recipe.
        bfloat16: For MONAI; nnU-Net has no autocast on a CPU.
        memory_gb: That nnU-Net's planner aims at; None leaves it its choice.
    """

    project: Project
    recipe: Recipe
    split: Split
    seconds: float
    seed: int
    folder: Path
    patch: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    mirroring: bool = False
    bfloat16: bool = False
    memory_gb: float | None = None

    def cases(self, part: str) -> list[Case]:
        """The cases of "labelled", "validation" or "test"."""
        by_id = {case.id: case for case in self.project.dataset.cases}
        return [by_id[case_id] for case_id in getattr(self.split, part)]

    def target(self, case: Case) -> Path:
        """Where the label map of a case is written."""
        return self.folder / "predictions" / f"{volume_stem(case.image)}.nii.gz"


@dataclass(frozen=True)
class Trained:
    """Steps done, the processor seconds they took, and settings worth knowing."""

    steps: int
    seconds: float
    settings: Mapping[str, Any]


class Clock:
    """Processor seconds of this process, of all its threads, without what `pause` holds."""

    def __init__(self) -> None:
        self.began = time.process_time()

    def seconds(self) -> float:
        return time.process_time() - self.began

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        before = time.process_time()
        yield
        self.began += time.process_time() - before
