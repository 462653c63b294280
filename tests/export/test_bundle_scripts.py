"""The bundle's own grid is the one that networks are trained on."""

import numpy as np
import pytest

from dvcl.export.bundle_scripts.prepared_grid import lay_grid
from dvcl.preprocessing.geometry import make_grid
from dvcl.volume import Geometry
from dvcl.volume.turning import axis_moves, turned

# Shape and spacing (z, y, x) of the file, spacing of the preparation.
CASES = {
    "coarser": ((40, 50, 60), (1.0, 0.9, 0.8), (2.5, 1.25, 1.25)),
    "finer": ((11, 17, 9), (5.0, 3.3, 4.1), (1.0, 1.0, 1.0)),
    "half a voxel": ((5, 7, 9), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)),
    "the same": ((30, 30, 30), (2.5, 1.25, 1.25), (2.5, 1.25, 1.25)),
    "the same but for round-off": ((30, 30, 30), (2.50001, 1.25, 1.25), (2.5, 1.25, 1.25)),
    "one slice": ((1, 30, 30), (2.0, 1.0, 1.0), (5.0, 1.0, 1.0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)], ids=str)
def test_a_grid_of_the_bundle_is_that_of_the_preparation(name: str, signs: tuple) -> None:
    shape, spacing, prepared = CASES[name]
    affine = np.diag([*(sign * mm for sign, mm in zip(signs, spacing[::-1], strict=True)), 1.0])
    # A turn about z by ten degrees: headers of real scans are rarely straight.
    angle = np.deg2rad(10)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    source = Geometry(shape, turn @ affine)
    expected = make_grid(source, "LPI", prepared).prepared
    oriented = turned(source, axis_moves(source.affine, "LPI"))
    sizes, found = lay_grid(np.array(oriented.affine), oriented.shape[::-1], prepared[::-1])
    assert tuple(sizes[::-1]) == expected.shape
    np.testing.assert_allclose(found, expected.affine, atol=1e-9)
