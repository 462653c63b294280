import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from dvcl.preprocessing.geometry import Grid, make_grid
from dvcl.preprocessing.interpolation import resampling_matrix
from dvcl.preprocessing.resampling import resample, resample_labels
from dvcl.volume import Geometry, Volume
from dvcl.volume.turning import orient

ORIENTATIONS = [
    "".join(codes)
    for pairs in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*pairs)
]


def oblique_affine(spacing_xyz: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """An affine turned by 20 and 10 degrees, with an origin off the voxel grid."""
    a, b = np.deg2rad([20, 10])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x * spacing_xyz
    affine[:3, 3] = [-31.5, 12.25, 7]
    return affine


def hounsfield(shape: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=shape)
    return (ndimage.gaussian_filter(noise, 1) * 2000).clip(-1000, 1000).astype(np.float32)


def test_a_thin_volume_keeps_one_slice() -> None:
    grid = make_grid(Geometry((2, 8, 8), np.eye(4)), "RAS", (9, 1, 1))
    assert grid.prepared.shape == (1, 8, 8)
    flat = resample(np.stack([np.zeros((8, 8)), np.ones((8, 8))]), grid)
    assert np.allclose(flat, 0.5)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("spacing", [(2.5, 1.25, 1.25), (1.0, 3.0, 0.4), (3.0, 0.9, 2.0)])
def test_resampling_equals_scipy(order: int, spacing: tuple[float, float, float]) -> None:
    array = hounsfield((13, 30, 24))
    grid = make_grid(Geometry(array.shape, oblique_affine((0.9, 1.3, 3.0))), "LPI", spacing)
    expected = ndimage.affine_transform(
        grid.moves.apply(array).astype(np.float64),
        grid.steps,
        offset=grid.starts,
        output_shape=grid.prepared.shape,
        order=order,
        mode="nearest",
    )
    resampled = resample(array, grid, order)
    assert resampled.dtype == np.float32
    assert np.abs(resampled - expected).max() < 1e-3


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_resampling_turns_the_array_first(codes: str) -> None:
    volume = Volume(hounsfield((6, 9, 7)), oblique_affine((1.0, 1.5, 4.0)))
    direct = resample(volume.array, make_grid(volume.geometry, codes, (2.2, 1.7, 1.1)))
    turned = orient(volume, codes)
    after = resample(turned.array, make_grid(turned.geometry, codes, (2.2, 1.7, 1.1)))
    assert np.allclose(direct, after, atol=1e-3)


def test_the_window_clips_before_interpolation() -> None:
    array = np.round(hounsfield((20, 12, 9))).astype(np.int16)
    before = array.copy()
    grid = make_grid(Geometry(array.shape, np.eye(4)), "LPI", (0.7, 1.4, 1.1))
    clipped = resample(array, grid, 1, (-200, 300))
    assert np.array_equal(clipped, resample(array.clip(-200, 300), grid, 1))
    assert np.array_equal(array, before)


@pytest.mark.parametrize("spacing", [(2.2, 1.7, 1.1), (0.7, 0.8, 3.3)])
def test_labels_equal_scipy_nearest(spacing: tuple[float, float, float]) -> None:
    classes = np.random.default_rng(0).integers(0, 14, (9, 21, 17)).astype(np.uint8)
    grid = make_grid(Geometry(classes.shape, oblique_affine((0.9, 1.3, 3.0))), "ASL", spacing)
    places = np.meshgrid(
        *(
            a + s * np.arange(n)
            for a, s, n in zip(grid.starts, grid.steps, grid.prepared.shape, strict=True)
        ),
        indexing="ij",
    )
    oriented = grid.moves.apply(classes)
    expected = ndimage.map_coordinates(oriented, places, order=0, mode="nearest")
    assert np.array_equal(resample_labels(classes, grid), expected)


def shares_of_classes(classes: np.ndarray, grid: Grid) -> np.ndarray:
    """Every class by itself, linearly, as matrices: (K, d, h, w) float64."""
    oriented = torch.from_numpy(np.ascontiguousarray(grid.moves.apply(classes)))
    shares = torch.nn.functional.one_hot(oriented.long()).movedim(-1, 0).double()
    axes = zip(grid.oriented_shape, grid.prepared.shape, grid.starts, grid.steps, strict=True)
    for axis, (source, target, start, step) in enumerate(axes, start=1):
        matrix = resampling_matrix(source, target, start, step, 1).double()
        shares = torch.tensordot(matrix, shares, dims=([1], [axis])).movedim(0, axis)
    return shares.numpy()


@pytest.mark.parametrize("spacing", [(2.2, 1.7, 1.1), (0.7, 0.8, 3.3), (3.0, 2.6, 1.8)])
@pytest.mark.parametrize("codes", ["LPI", "ASL"])
@pytest.mark.parametrize("coarse", [False, True])
def test_linear_labels_are_the_greatest_share_of_every_class(
    spacing: tuple[float, float, float], codes: str, coarse: bool
) -> None:
    random = np.random.default_rng(0)
    classes = random.integers(0, 6, (3, 7, 6) if coarse else (9, 21, 18)).astype(np.uint8)
    if coarse:
        classes = np.kron(classes, np.ones((3, 3, 3), np.uint8))
    grid = make_grid(Geometry(classes.shape, oblique_affine((0.9, 1.3, 3.0))), codes, spacing)
    found = resample_labels(classes, grid, "linear")
    shares = shares_of_classes(classes, grid)
    assert found.shape == grid.prepared.shape
    assert found.dtype == np.uint8
    chosen = np.take_along_axis(shares, found[None].astype(int), axis=0)[0]
    assert (shares.max(axis=0) - chosen).max() < 1e-6
    # Of equal shares the lower class.
    first = (shares > shares.max(axis=0) - 1e-5).argmax(axis=0)
    assert (found != first).mean() < 1e-3


def test_linear_labels_by_hand() -> None:
    line = np.array([0, 2, 1, 1, 0], np.uint8)
    classes = np.broadcast_to(line, (2, 2, 5)).copy()
    grid = make_grid(Geometry(classes.shape, np.diag([1.0, 1, 1, 1])), "RAS", (1.0, 1.0, 0.5))
    # Positions -0.25, 0.25, 0.75, ...: three quarters of the nearer voxel.
    expected = np.repeat(line, 2)
    assert np.array_equal(resample_labels(classes, grid, "linear")[0, 0], expected)
    halfway = make_grid(Geometry(classes.shape, np.diag([1.0, 1, 1, 1])), "RAS", (1.0, 1.0, 5 / 4))
    # Positions 0.125, 1.375, 2.625, 3.875; on a plane between 0 and 2 halves go to the lower.
    assert resample_labels(classes, halfway, "linear")[0, 0].tolist() == [0, 2, 1, 0]


def test_equal_shares_go_to_the_lower_class_and_several_voxels_add_up() -> None:
    # Eight corners around one position: four of class 3 in two rows, two each of 1 and 2.
    cube = np.array([[[3, 3], [1, 1]], [[2, 2], [3, 3]]], np.uint8)
    one = make_grid(Geometry((2, 2, 2), np.eye(4)), "RAS", (2.0, 2.0, 2.0))
    assert resample_labels(cube, one, "linear").tolist() == [[[3]]]
    tie = np.array([[[5, 5], [5, 5]], [[4, 4], [4, 4]]], np.uint8)
    assert resample_labels(tie, one, "linear").tolist() == [[[4]]]
    assert resample_labels(tie, one, "nearest").tolist() == [[[4]]]
    assert resample_labels(tie[::-1], one, "linear").tolist() == [[[4]]]
    assert resample_labels(tie[::-1], one, "nearest").tolist() == [[[5]]]


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_labels_that_are_not_resampled_are_only_turned(interpolation, codes: str) -> None:
    classes = np.random.default_rng(0).integers(0, 9, (4, 6, 5)).astype(np.uint8)
    volume = Volume(classes, oblique_affine((0.9, 1.3, 3.0)))
    grid = make_grid(volume.geometry, codes, orient(volume, codes).spacing_mm)
    expected = orient(volume, codes).array
    assert np.array_equal(resample_labels(classes, grid, interpolation), expected)


def test_linear_labels_keep_a_ball_rounder_than_nearest_ones() -> None:
    z, y, x = np.ogrid[-6:6:13j, -6:6:13j, -6:6:13j]
    ball = (z**2 + y**2 + x**2 < 20).astype(np.uint8)
    grid = make_grid(Geometry(ball.shape, np.eye(4)), "RAS", (0.25, 0.25, 0.25))
    axes = [
        a + s * np.arange(n) - 6
        for a, s, n in zip(grid.starts, grid.steps, grid.prepared.shape, strict=True)
    ]
    z, y, x = np.ix_(*axes)
    truth = z**2 + y**2 + x**2 < 20
    wrong = {
        kind: (resample_labels(ball, grid, kind) != truth).sum() for kind in ("nearest", "linear")
    }
    assert wrong["linear"] < wrong["nearest"]
