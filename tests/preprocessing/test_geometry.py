import itertools
import json

import numpy as np
import pytest

from dvcl.preprocessing.geometry import Grid, make_grid
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


def world(affine: np.ndarray, zyx: np.ndarray) -> np.ndarray:
    return zyx[..., ::-1] @ affine[:3, :3].T + affine[:3, 3]


def test_there_are_48_orientations() -> None:
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_orientation_moves_voxels_and_keeps_their_places(codes: str) -> None:
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    volume = Volume(array, oblique_affine((0.7, 0.9, 3.0)))
    turned = orient(volume, codes)
    assert turned.geometry.orientation == codes
    places = world(volume.affine, np.argwhere(array >= 0))
    moved = np.stack(np.unravel_index(np.argsort(turned.array.ravel()), turned.shape), axis=1)
    assert np.allclose(world(turned.affine, moved), places, atol=1e-9)
    back = orient(turned, volume.geometry.orientation)
    assert np.array_equal(back.array, array)
    assert np.allclose(back.affine, volume.affine, atol=1e-12)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_grid_knows_where_its_voxels_lie(codes: str) -> None:
    source = Geometry((6, 9, 7), oblique_affine((1.0, 1.5, 4.0)))
    grid = make_grid(source, codes, (2.2, 1.7, 1.1))
    assert grid.prepared.orientation == codes
    assert np.allclose(grid.prepared.spacing_mm, (2.2, 1.7, 1.1), rtol=1e-12)
    index = np.argwhere(np.ones(grid.prepared.shape))
    oriented = np.array(grid.starts) + index * grid.steps
    # The source index of every prepared voxel, by the same moves that turn arrays.
    axes = np.argsort(grid.moves.order)
    last = np.array(grid.oriented_shape) - 1
    in_source = np.where(grid.moves.flipped, last - oriented, oriented)[:, axes]
    assert np.allclose(world(source.affine, in_source), world(grid.prepared.affine, index))


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_moves_of_a_grid_are_those_of_orient_and_undo_them(codes: str) -> None:
    volume = Volume(np.arange(60).reshape(3, 4, 5), oblique_affine())
    grid = make_grid(volume.geometry, codes, (1, 1, 1))
    turned = grid.moves.apply(volume.array)
    assert np.array_equal(turned, orient(volume, codes).array)
    assert np.array_equal(grid.moves.undo(turned), volume.array)


@pytest.mark.parametrize("spacing", [(2.5, 1.25, 1.25), (1.0, 3.0, 0.4), (7.0, 0.9, 2.0)])
def test_requested_spacing_is_exact_and_centres_coincide(
    spacing: tuple[float, float, float],
) -> None:
    source = Geometry((11, 30, 24), oblique_affine((0.9, 1.3, 5.0)))
    grid = make_grid(source, "LPI", spacing)
    assert np.allclose(grid.prepared.spacing_mm, spacing, rtol=1e-12)
    expected = [
        max(1, round(n * s / t))
        for n, s, t in zip(grid.oriented_shape, (5.0, 1.3, 0.9), spacing, strict=True)
    ]
    assert grid.prepared.shape == tuple(expected)
    centres = [world(g.affine, (np.array(g.shape) - 1) / 2) for g in (source, grid.prepared)]
    assert np.allclose(*centres, atol=1e-9)


def test_spacing_that_agrees_up_to_header_round_off_is_left_alone() -> None:
    source = Geometry((40, 50, 60), np.diag([np.float32(1.1), 1.1, 2.5, 1]).astype(float))
    grid = make_grid(source, "RAS", (2.5, 1.1, 1.1))
    assert grid.steps == (1, 1, 1)
    assert grid.starts == (0, 0, 0)
    assert grid.matrices(3) == [None, None, None]
    assert np.array_equal(grid.prepared.affine, source.affine)


def test_json_keeps_a_grid_to_the_last_bit() -> None:
    grid = make_grid(Geometry((6, 9, 7), oblique_affine((1.0, 1.5, 4.0))), "PIR", (2.2, 1.7, 1.1))
    again = Grid.from_json(json.loads(json.dumps(grid.to_json())))
    assert again.prepared.shape == grid.prepared.shape
    assert np.array_equal(again.prepared.affine, grid.prepared.affine)
    assert (again.starts, again.steps, again.moves) == (grid.starts, grid.steps, grid.moves)
