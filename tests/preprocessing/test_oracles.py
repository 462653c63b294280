"""Orientation and resampling as SimpleITK and MONAI do them, where the conventions agree.

- All name an orientation by where the axes point; MONAI's default labels say the same.
- The prepared grid has the file's centre. SimpleITK takes any grid. MONAI's `Spacing` keeps the
  first voxel's centre, or with ``scale_extent`` the outer edges: the same grid as ours where the
  new spacing divides the extent without a remainder.
- Beyond the last voxel's centre all repeat it at order 1; at order 3 ITK mirrors the volume and
  scipy's "nearest" repeats it, so that ITK is compared away from the border.
"""

import itertools

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation, Spacing
from scipy import ndimage

from dvcl.preprocessing.geometry import make_grid
from dvcl.preprocessing.resampling import resample, resample_labels
from dvcl.volume import Geometry, Volume
from dvcl.volume.turning import orient

sitk = pytest.importorskip("SimpleITK")

ORIENTATIONS = [
    "".join(codes)
    for pairs in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*pairs)
]
LPS = np.diag([-1.0, -1.0, 1.0])  # ITK's world, of NIfTI's
FAR_FROM_THE_BORDER = 9  # voxels, over which a spline forgets


def rotated(spacing_xyz: tuple[float, float, float], degrees: float = 20) -> np.ndarray:
    a = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    affine[:3, :3] *= spacing_xyz
    affine[:3, 3] = [-31.5, 12.25, 7]
    return affine


def scan(shape: tuple[int, int, int], affine: np.ndarray) -> Volume:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 1)
    return Volume((noise * 3000).clip(-1000, 1000).astype(np.float32), affine)


def as_itk(volume: Volume) -> "sitk.Image":
    image = sitk.GetImageFromArray(volume.array)
    _place(image, volume.geometry)
    return image


def _place(image: "sitk.Image", geometry: Geometry) -> None:
    spacing = np.linalg.norm(geometry.affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((LPS @ geometry.affine[:3, 3]).tolist())
    image.SetDirection((LPS @ geometry.affine[:3, :3] / spacing).ravel().tolist())


def resampled_by_itk(volume: Volume, target: Geometry, interpolator: int) -> np.ndarray:
    empty = sitk.Image(*reversed(target.shape), sitk.sitkUInt8)
    _place(empty, target)
    return sitk.GetArrayFromImage(
        sitk.Resample(as_itk(volume), empty, sitk.Transform(), interpolator, -5000.0)
    )


def as_monai(volume: Volume) -> MetaTensor:
    return MetaTensor(torch.from_numpy(volume.array.T.copy())[None], torch.tensor(volume.affine))


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_orientation_is_that_of_simpleitk_and_monai(codes: str) -> None:
    volume = scan((4, 5, 6), rotated((0.7, 0.9, 3.0)))
    ours = orient(volume, codes)
    by_itk = sitk.DICOMOrient(as_itk(volume), codes)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_itk), ours.array)
    np.testing.assert_allclose(by_itk.GetOrigin(), LPS @ ours.affine[:3, 3], atol=1e-4)
    by_monai = Orientation(codes, labels=None)(as_monai(volume))
    np.testing.assert_array_equal(by_monai[0].numpy().T, ours.array)
    np.testing.assert_allclose(by_monai.affine, ours.affine, atol=1e-4)


@pytest.mark.parametrize("codes", ["LPI", "RAS", "SAL"])
@pytest.mark.parametrize("spacing", [(2.5, 1.25, 1.25), (1.0, 3.0, 0.4), (7.0, 0.9, 2.0)])
def test_linear_resampling_is_that_of_simpleitk(
    codes: str, spacing: tuple[float, float, float]
) -> None:
    volume = scan((13, 30, 24), rotated((0.9, 1.3, 3.0)))
    grid = make_grid(volume.geometry, codes, spacing)
    by_itk = resampled_by_itk(volume, grid.prepared, sitk.sitkLinear)
    known = by_itk > -4000
    # What lies half a voxel beyond the file, ITK calls outside.
    assert known.mean() > 0.85
    assert np.abs(resample(volume.array, grid) - by_itk)[known].max() < 1e-2


def test_cubic_resampling_is_that_of_simpleitk_away_from_the_border() -> None:
    volume = scan((40, 48, 44), rotated((0.9, 1.3, 2.0)))
    grid = make_grid(volume.geometry, "LPI", (1.5, 1.25, 1.1))
    by_itk = resampled_by_itk(volume, grid.prepared, sitk.sitkBSpline3)
    inner = tuple(
        slice(margin, -margin)
        for margin in (int(np.ceil(FAR_FROM_THE_BORDER / step)) for step in grid.steps)
    )
    assert by_itk[inner].size > 1000
    assert np.abs(resample(volume.array, grid, 3) - by_itk)[inner].max() < 0.05


def test_nearest_labels_are_those_of_simpleitk() -> None:
    classes = np.random.default_rng(0).integers(0, 14, (9, 21, 17)).astype(np.uint8)
    volume = Volume(classes, rotated((0.9, 1.3, 3.0)))
    grid = make_grid(volume.geometry, "LPI", (2.2, 1.7, 1.1))
    by_itk = resampled_by_itk(volume, grid.prepared, sitk.sitkNearestNeighbor)
    ones = Volume(np.ones_like(classes), volume.affine)
    inside = resampled_by_itk(ones, grid.prepared, sitk.sitkNearestNeighbor) == 1
    # Halfway between two voxels ITK takes the higher index of the file, we of the prepared grid.
    axes = zip(grid.starts, grid.steps, grid.prepared.shape, strict=True)
    decided = [np.abs((a + s * np.arange(n)) % 1 - 0.5) > 1e-6 for a, s, n in axes]
    inside &= np.logical_and.outer(np.logical_and.outer(decided[0], decided[1]), decided[2])
    assert inside.mean() > 0.5
    assert np.array_equal(resample_labels(classes, grid)[inside], by_itk[inside])


@pytest.mark.parametrize(("order", "mode"), [(1, "bilinear"), (1, 1), (3, 3)])
def test_resampling_is_that_of_monai_where_the_edges_coincide(order: int, mode: str | int) -> None:
    # 12 x 3 mm = 18 x 2 mm, 30 x 1.2 mm = 20 x 1.8 mm, 24 x 0.9 mm = 27 x 0.8 mm
    volume = scan((12, 30, 24), rotated((0.9, 1.2, 3.0)))
    grid = make_grid(volume.geometry, volume.geometry.orientation, (2.0, 1.8, 0.8))
    padding = "border" if mode == "bilinear" else "nearest"
    spacing = Spacing((0.8, 1.8, 2.0), mode=mode, padding_mode=padding, scale_extent=True)
    by_monai = spacing(as_monai(volume), dtype=torch.float64)
    np.testing.assert_allclose(by_monai.affine, grid.prepared.affine, atol=1e-4)
    ours = resample(volume.array, grid, order)
    assert ours.shape == (18, 20, 27)
    assert np.abs(ours - by_monai[0].numpy().T).max() < 2e-2
