import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvcl.volume import Geometry


def test_corner_distance_is_the_farthest_corner() -> None:
    geometry = Geometry((11, 21, 31), np.eye(4))
    shifted = np.eye(4)
    shifted[:3, 3] = (3, 4, 0)
    assert geometry.corner_distance_mm(Geometry((11, 21, 31), shifted)) == pytest.approx(5)
    stretched = np.diag([1, 1.1, 1, 1])
    assert geometry.corner_distance_mm(Geometry((11, 21, 31), stretched)) == pytest.approx(2)
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 30
    assert geometry.corner_distance_mm(Geometry((11, 21, 31), flipped)) == pytest.approx(30)


@given(
    st.tuples(*[st.floats(0.2, 8)] * 3),
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
)
def test_spacing_and_orientation_of_any_axes(
    spacing: tuple[float, ...], axes: list[int], signs: tuple[int, ...]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, axes] * np.multiply(spacing, signs)
    geometry = Geometry((3, 4, 5), affine)
    assert geometry.spacing_mm == pytest.approx(spacing[::-1])
    letters = ["RL", "AP", "SI"]
    expected = "".join(letters[a][sign < 0] for a, sign in zip(axes, signs, strict=True))
    assert geometry.orientation == expected
