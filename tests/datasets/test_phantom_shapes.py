"""The phantom's solids against their volumes, and the boxes that are said to hold them."""

import numpy as np
import pytest

from dvcl.datasets.phantom_shapes import Ellipsoid, Shape, Tube, Waves, near, paint

AXIS = np.arange(-60, 60, 1.5, dtype=np.float32) + 0.5
POINTS = np.stack(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")).reshape(3, -1)

SOLIDS: dict[str, Shape] = {
    "ellipsoid": Ellipsoid((3, -2, 5), (20, 30, 40)),
    "turned": Ellipsoid((3, -2, 5), (15, 30, 45), (0.3, -0.7, 1.1)),
    "cut": Ellipsoid((0, 0, 0), (30, 30, 30), cut=((0, 0, 0), (1, 2, -1))),
    "tube": Tube([(0, 0, -30), (0, 0, 30)], (12, 12)),
    "bent tube": Tube([(-30, 0, 0), (0, 20, 10), (30, -10, -20)], (6, 14, 9)),
}
BALL = 4 / 3 * np.pi


def volume(shape: Shape) -> float:
    return float((shape.depth(POINTS) < 1).sum() * 1.5**3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ellipsoid", BALL * 20 * 30 * 40),
        ("turned", BALL * 15 * 30 * 45),
        ("cut", BALL * 30**3 / 2),
        ("tube", np.pi * 12**2 * 60 + BALL * 12**3),
    ],
)
def test_volumes_are_those_of_the_formula(name: str, expected: float) -> None:
    assert volume(SOLIDS[name]) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", SOLIDS)
def test_box_holds_the_whole_solid_and_little_else(name: str) -> None:
    shape = SOLIDS[name]
    inside = np.flatnonzero(shape.depth(POINTS) < 1)
    box = near(POINTS, shape)
    assert np.isin(inside, box).all()
    assert len(box) < 8 * len(inside)


def test_margin_widens_the_box() -> None:
    box, wide = (near(POINTS, SOLIDS["ellipsoid"], margin) for margin in (0, 3))
    assert len(box) < len(wide)
    assert np.isin(box, wide).all()


def test_paint_changes_the_inside_alone() -> None:
    values = np.zeros(POINTS.shape[1])
    paint(values, POINTS, SOLIDS["bent tube"], 7)
    assert np.array_equal(values == 7, SOLIDS["bent tube"].depth(POINTS) < 1)
    assert set(np.unique(values)) == {0, 7}


def test_tube_is_as_thick_at_its_corners_as_asked_for() -> None:
    corner = np.array([[0.0], [20.0], [10.0]])
    tube = SOLIDS["bent tube"]
    assert tube.depth(np.add(corner, [[0], [13.5], [0]]))[0] < 1
    assert tube.depth(np.add(corner, [[0], [14.5], [0]]))[0] > 1


def test_waves_are_smooth_centred_and_of_unit_scale() -> None:
    field = Waves.draw(np.random.default_rng(1), 20.0).at(POINTS).reshape(3 * (len(AXIS),))
    assert abs(field.mean()) < 0.1
    assert field.std() == pytest.approx(np.sqrt(0.5), rel=0.15)
    assert np.abs(np.diff(field, axis=0)).max() < 1.5 * 2 * np.pi / 20 / 0.7 * 2
