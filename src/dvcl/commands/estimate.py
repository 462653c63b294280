"""What a preparation will take, and whether scans, patch and window fit, before any work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dvcl.datasets.checks import Finding
from dvcl.datasets.checks.cases import CaseReport
from dvcl.errors import InputError
from dvcl.recipe import Recipe
from dvcl.store.reading import case_bytes
from dvcl.volume.grid import by

# Voxels of the files that one process prepares in a second, on a core of 2023; see
# docs/preparation.md. Interpolation by splines takes longer.
VOXELS_PER_SECOND = {1: 25e6, 3: 18e6}
PROCESS_BYTES = 250_000_000  # Python and its libraries
VOXEL_BYTES = 7  # of the files, at the peak
SECONDS_PER_CASE = 0.05  # opening, hashing and closing

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Estimate:
    """Of the preparation with one recipe.

    Attributes:
        recipe: Its name.
        cases: That can be prepared.
        smallest: Prepared voxels (D, H, W) of the smallest case.
        largest: Of the largest.
        disk_bytes: Of the store; training holds as much in RAM, if that is under half of it.
        ram_bytes: At the peak, for each process.
        seconds: With one process.
        patch: Voxels (D, H, W) of a training patch.
        window: Of a prediction window.
    """

    recipe: str
    cases: int
    smallest: Shape
    largest: Shape
    disk_bytes: int
    ram_bytes: int
    seconds: float
    patch: Shape
    window: Shape

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def estimate_preparation(
    reports: Sequence[CaseReport], recipe: Recipe
) -> tuple[Estimate | None, list[Finding]]:
    """Lay every scan on the prepared grid and add up.

    Returns:
        The estimate, None where no case can be prepared; and findings about scans that do not fit.
    """
    shapes: dict[str, Shape] = {}
    findings = []
    disk = voxels = most = 0
    for report in reports:
        if report.geometry is None:
            continue
        try:
            shape = recipe.preprocessing.grid(report.geometry).prepared.shape
        except InputError as error:
            findings.append(_too_many(report, error))
            continue
        shapes[report.case.id] = shape
        disk += case_bytes(shape, report.organs is not None)
        size = math.prod(report.geometry.shape)
        voxels, most = voxels + size, max(most, size)
    if not shapes:
        return None, findings
    findings += _thin(shapes, recipe)
    return _add_up(shapes, recipe, disk, voxels, most), findings


def _add_up(
    shapes: dict[str, Shape], recipe: Recipe, disk: int, voxels: int, most: int
) -> Estimate:
    by_size = sorted(shapes.values(), key=math.prod)
    rate = VOXELS_PER_SECOND[recipe.preprocessing.order]
    return Estimate(
        recipe.name,
        len(shapes),
        by_size[0],
        by_size[-1],
        disk,
        PROCESS_BYTES + VOXEL_BYTES * most,
        voxels / rate + SECONDS_PER_CASE * len(shapes),
        recipe.sampling.patch,
        recipe.window.size,
    )


def _too_many(report: CaseReport, error: InputError) -> Finding:
    text, _, remedy = error.problems[0].rpartition(". Correct")
    return Finding(
        "too-many-voxels",
        str(report.case.image),
        f"{text}.",
        f"Correct{remedy}",
        report.case.id,
    )


def _thin(shapes: dict[str, Shape], recipe: Recipe) -> list[Finding]:
    """Scans thinner than the patch are padded; that is worth a word, and a look at the recipe."""
    patch = recipe.sampling.patch
    thin = [
        case
        for case, shape in shapes.items()
        if any(size < wanted for size, wanted in zip(shape, patch, strict=True))
    ]
    if not thin:
        return []
    least = tuple(min(shapes[case][axis] for case in thin) for axis in range(3))
    return [
        Finding(
            "smaller-than-patch",
            f"recipe {recipe.name}",
            f"{len(thin)} of {len(shapes)} prepared scans are smaller than the patch of "
            f"{by(patch)} voxels along an axis (down to {by(least)}) and are padded.",
            "If that is most of them, choose a smaller sampling.patch or a finer spacing.",
            numbers={"cases": thin, "patch": list(patch), "least": list(least)},
        )
    ]
