"""A phantom data set: made-up abdominal CT with the 13 organs of FLARE22, for demo and tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dvcl.datasets.dataset import ROLES, Dataset, Role
from dvcl.datasets.folders import load_folders
from dvcl.datasets.phantom_anatomy import ORGANS, Patient
from dvcl.datasets.phantom_scanner import draw_grid, paint_table, scan, world_points
from dvcl.datasets.phantom_tissue import tissue_hu
from dvcl.errors import InputError
from dvcl.files import read_json, write_json
from dvcl.volume import Volume, write_volume

SPACING_MM = (5.0, 4.0, 4.0)
CASES_PER_SEED = 100_000

__all__ = ["ORGANS", "make_phantom", "phantom_case"]


def phantom_case(
    seed: int, spacing_mm: tuple[float, float, float] = SPACING_MM
) -> tuple[Volume, Volume]:
    """Make one patient and scan it.

    Size, build, place and shape of every organ, contrast phase, noise, field of view, spacing (by
    up to a tenth), orientation and tilt vary with the seed; some patients have no gallbladder.

    Args:
        seed: The same seed gives the same voxels; another spacing scans the same patient.
        spacing_mm: About (z, y, x).

    Returns:
        Image, int16 HU, and label map, uint8 values of `ORGANS`, on the same grid.

    Raises:
        InputError: When the spacing is not three lengths above 0.
    """
    if not all(np.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise InputError(
            f"phantom: spacing {spacing_mm}; three lengths in mm above 0 were expected."
        )
    body, position, content, scanner = np.random.default_rng(seed).spawn(4)
    patient = Patient(body)
    grid = draw_grid(position, spacing_mm)
    world = world_points(grid)
    points = patient.warp(world)
    label = patient.label(points)
    hu = tissue_hu(points, label, patient, content)
    paint_table(hu, world, patient.back_mm)
    image = scan(hu.reshape(grid.shape), grid.spacing_mm, scanner)
    return Volume(image, grid.affine), Volume(label.reshape(grid.shape), grid.affine)


def make_phantom(
    folder: Path | str,
    labelled: int,
    unlabelled: int,
    validation: int,
    test: int,
    seed: int = 0,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    progress: Callable[[int, int, str], None] | None = None,
) -> Dataset:
    """Write a phantom data set as plain folders and open it; finished cases are not made again.

    Cases are numbered through all folders. Unlabelled ones have no label file.

    Args:
        folder: Receives labelled/, unlabelled/, validation/, test/, labels.json and phantom.json.
        labelled: Cases, as the next three.
        unlabelled: Cases.
        validation: Cases.
        test: Cases.
        seed: Another seed makes other patients.
        spacing_mm: As in `phantom_case`.
        progress: Called with cases done, cases in all, case id.

    Raises:
        InputError: When the folder holds a phantom that was made with other settings, or the
            numbers of cases make no data set.
    """
    folder = Path(folder)
    counts = dict(zip(ROLES, (labelled, unlabelled, validation, test), strict=True))
    if labelled < 1 or min(counts.values()) < 0:
        raise InputError(f"phantom: {counts} cases; at least one labelled and no negative number.")
    _claim_folder(folder, {"cases": counts, "seed": seed, "spacing_mm": list(spacing_mm)})
    write_json(folder / "labels.json", {str(value): name for value, name in ORGANS.items()})
    roles = [role for role, count in counts.items() for _ in range(count)]
    for number, role in enumerate(roles, start=1):
        name = f"phantom_{number:04d}"
        _write_case(folder / role, name, role, seed * CASES_PER_SEED + number, spacing_mm)
        if progress:
            progress(number, len(roles), name)
    return load_folders(
        folder / "labelled",
        [folder / "unlabelled"] if unlabelled else [],
        folder / "validation" if validation else None,
        folder / "test" if test else None,
        folder / "labels.json",
        name="phantom",
    )


def _claim_folder(folder: Path, settings: dict[str, object]) -> None:
    """Patients of two settings in one folder would pass for one data set."""
    path = folder / "phantom.json"
    if path.exists() and (found := read_json(path)) != settings:
        raise InputError(
            f"{path}: this phantom was made with {found}; asked for is {settings}. Choose another "
            "folder, or delete this one."
        )
    if not path.exists() and (folder / "labels.json").exists():
        raise InputError(
            f"{folder / 'labels.json'}: is of other data, and would be replaced. Choose another "
            "folder for the phantom."
        )
    write_json(path, settings)


def _write_case(
    folder: Path, name: str, role: Role, seed: int, spacing_mm: tuple[float, float, float]
) -> None:
    image_path = folder / "images" / f"{name}.nii.gz"
    # The image is written last: where it stands, the case is finished.
    if image_path.exists():
        return
    image, label = phantom_case(seed, spacing_mm)
    if role != "unlabelled":
        write_volume(folder / "labels" / f"{name}.nii.gz", label)
    write_volume(image_path, image)
