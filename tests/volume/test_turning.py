"""Whole axes are moved and no voxel leaves its place."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation
from scipy.spatial.transform import Rotation

from dvcl.volume import Geometry, Volume
from dvcl.volume.turning import moves_between, orient, turned_like

CODES = [
    "".join(letters)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*axes)
]


def oblique(degrees: tuple[float, ...] = (10, -15, 20)) -> Volume:
    """Slices ten times as thick as wide, tilted."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    affine[:3, :3] = turn * (0.5, 0.6, 5.0)
    affine[:3, 3] = (7, -8, 9)
    return Volume(np.arange(60).reshape(3, 4, 5), affine)


@pytest.mark.parametrize("codes", CODES)
def test_a_turned_volume_is_turned_back_exactly(codes: str) -> None:
    volume = oblique()
    other = orient(volume, codes)
    assert np.array_equal(io_orientation(other.affine), axcodes2ornt(tuple(codes)))
    back = turned_like(other, volume.geometry)
    assert np.array_equal(back.array, volume.array)
    assert np.allclose(back.affine, volume.affine)
    forth = turned_like(volume, other.geometry)
    assert np.array_equal(forth.array, other.array)
    assert np.allclose(forth.affine, other.affine)


def test_what_needs_no_turn_is_left_as_it_is() -> None:
    volume = oblique()
    assert turned_like(volume, volume.geometry) is volume


@given(st.tuples(*[st.floats(-180, 180)] * 3))
def test_between_any_two_grids_there_are_moves_or_none(degrees: tuple[float, ...]) -> None:
    moves = moves_between(oblique().geometry, oblique(degrees).geometry)
    assert sorted(moves.order) == [0, 1, 2]


def test_the_same_voxel_stays_at_its_place() -> None:
    volume = oblique()
    moved = turned_like(volume, Geometry((5, 3, 4), orient(volume, "ASL").affine))
    assert moved.geometry.orientation == "ASL"
    for index in ((0, 0, 0), (2, 3, 4), (1, 2, 3)):
        (place,) = np.argwhere(moved.array == volume.array[index])
        assert np.allclose(moved.affine @ (*place[::-1], 1), volume.affine @ (*index[::-1], 1))
