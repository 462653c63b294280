"""Label maps from file to store and back to a file, in every orientation, on a rotated grid."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.inference.restore import restore_classes
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.store import StoredCase, build_store
from dvcl.volume import Volume, read_label, write_volume
from dvcl.volume.turning import orient

ORIENTATIONS = [
    "".join(codes)
    for pairs in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*pairs)
]
LABELS = LabelTable((0, 205, 820), ("background", "aorta", "pulmonary artery"))
SPACING_MM = (2.0, 1.2, 0.9)  # (z, y, x) of the scan before it is turned


def two_organs() -> Volume:
    """Two ellipsoids on an anisotropic grid, turned by 20 degrees about z and 10 about x."""
    shape = (20, 34, 38)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    classes = np.zeros(shape, np.int16)
    for value, (a, b, c) in zip(LABELS.values[1:], [(6, 10, 11), (13, 23, 26)], strict=True):
        classes[((z - a) / 5) ** 2 + ((y - b) / 8) ** 2 + ((x - c) / 9) ** 2 < 1] = value
    a, b = np.deg2rad([20, 10])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x * SPACING_MM[::-1]
    affine[:3, 3] = [-31.5, 12.25, 7]
    return Volume(classes, affine)


def store_and_restore(
    folder: Path, scan: Volume, settings: Preprocessing
) -> tuple[StoredCase, Volume]:
    """The prepared case, and its label map as it comes back from the disk."""
    write_volume(folder / "label.nii.gz", scan)
    noise = np.random.default_rng(0).integers(-200, 200, scan.shape, dtype=np.int16)
    write_volume(folder / "image.nii.gz", Volume(noise, scan.affine))
    case = Case("a", folder / "image.nii.gz", folder / "label.nii.gz")
    dataset = Dataset("turned", "CT", (case,), LABELS)
    stored = build_store(dataset, settings, folder / "store", workers=1).case("a")
    classes = torch.from_numpy(np.array(stored.label)).long()
    restored = restore_classes(
        F.one_hot(classes, LABELS.classes).movedim(-1, 0).float(), stored.grid
    )
    back = Volume(LABELS.decode(restored), stored.grid.source.affine)
    write_volume(folder / "back.nii.gz", back)
    return stored, read_label(folder / "back.nii.gz")


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_label_map_that_is_not_resampled_comes_back_as_it_was(codes: str, tmp_path: Path) -> None:
    scan = orient(two_organs(), codes)
    spacing = orient(scan, "LPI").spacing_mm
    _, back = store_and_restore(tmp_path, scan, Preprocessing("LPI", spacing))
    assert np.array_equal(back.array, scan.array)
    assert np.allclose(back.affine, scan.affine, atol=1e-4)


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_organs_stay_within_half_a_voxel_of_where_they_were(
    codes: str, interpolation: Any, tmp_path: Path
) -> None:
    scan = orient(two_organs(), codes)
    settings = Preprocessing("LPI", (2.7, 1.9, 1.4), label_interpolation=interpolation)
    stored, back = store_and_restore(tmp_path, scan, settings)
    assert back.shape == scan.shape
    prepared = Volume(np.array(stored.label), stored.grid.prepared.affine)
    for index, value in enumerate(LABELS.values[1:], start=1):
        before = centroid_mm(scan, value)
        # Half a voxel of the coarser grid along each axis; axes meet at right angles.
        for found in (centroid_mm(prepared, index), centroid_mm(back, value)):
            along = np.abs(directions(prepared.affine).T @ (found - before))
            assert (along <= np.array(settings.spacing_mm[::-1]) / 2).all()


def centroid_mm(volume: Volume, value: int) -> np.ndarray:
    z, y, x = ndimage.center_of_mass(volume.array == value)
    return volume.affine[:3, :3] @ [x, y, z] + volume.affine[:3, 3]


def directions(affine: np.ndarray) -> np.ndarray:
    return affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
