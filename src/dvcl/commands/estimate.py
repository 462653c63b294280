"""What a preparation will take, and whether scans, patch and window fit, before any work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dvcl.datasets.checks import Finding
from dvcl.datasets.checks.cases import CaseReport
from dvcl.errors import InputError, counted
from dvcl.preprocessing.geometry import Grid
from dvcl.recipe import Recipe
from dvcl.store.building import peak_bytes
from dvcl.store.reading import case_bytes
from dvcl.volume.grid import by

# Voxels of the files that one core prepares in a second, and what every case takes besides; on a
# busy core of 2023, so that most are faster. Splines take longer than lines.
VOXELS_PER_SECOND = {1: 40e6, 3: 25e6}
SECONDS_PER_CASE = 0.08

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
        ram_bytes: At most, for each process.
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
    grids: dict[str, Grid] = {}
    findings = []
    disk = 0
    for report in reports:
        if report.geometry is None:
            continue
        try:
            grid = recipe.preprocessing.grid(report.geometry)
        except InputError as error:
            findings.append(_too_many(report, error))
            continue
        grids[report.case.id] = grid
        disk += case_bytes(grid.prepared.shape, report.organs is not None)
    if not grids:
        return None, findings
    findings += _thin(grids, recipe)
    return _add_up(list(grids.values()), recipe, disk), findings


def _add_up(grids: Sequence[Grid], recipe: Recipe, disk: int) -> Estimate:
    by_size = sorted((grid.prepared.shape for grid in grids), key=math.prod)
    voxels = sum(math.prod(grid.source.shape) for grid in grids)
    rate = VOXELS_PER_SECOND[recipe.preprocessing.order]
    return Estimate(
        recipe.name,
        len(grids),
        by_size[0],
        by_size[-1],
        disk,
        max(map(peak_bytes, grids)),
        voxels / rate + SECONDS_PER_CASE * len(grids),
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


def _thin(grids: dict[str, Grid], recipe: Recipe) -> list[Finding]:
    """Scans thinner than the patch are padded; that is worth a word, and a look at the recipe."""
    patch = recipe.sampling.patch
    shapes = {case: grid.prepared.shape for case, grid in grids.items()}
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
            f"{len(thin)} of {counted(len(shapes), 'prepared scan')} have fewer voxels along some "
            f"axis (down to {by(least)}) than the patches of {by(patch)} that networks learn from, "
            "and are padded there.",
            "As these are most scans, set smaller patches (--set sampling.patch) or finer voxels "
            "(--set preprocessing.spacing_mm): else much of what is learned from is padding."
            if 2 * len(thin) > len(shapes)
            else "",
            numbers={"cases": thin, "patch": list(patch), "least": list(least)},
        )
    ]
