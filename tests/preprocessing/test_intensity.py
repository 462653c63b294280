import numpy as np
import pytest

from dvcl.errors import InputError
from dvcl.preprocessing.intensity import clip_window, intensity_range, percentile_scale


def test_clip_makes_a_new_float_array() -> None:
    array = np.array([-1000, 0, 3000], dtype=np.int16)
    clipped = clip_window(array, (-325.0, 325.0))
    assert clipped.dtype == np.float32
    assert clipped.tolist() == [-325, 0, 325]
    assert array.tolist() == [-1000, 0, 3000]


def test_percentiles_become_zero_and_one_and_nothing_is_clamped() -> None:
    array = np.arange(1001, dtype=np.float32)
    scaled = percentile_scale(array, (0.5, 99.5))
    assert scaled.dtype == np.float32
    assert scaled[5] == pytest.approx(0, abs=1e-6)
    assert scaled[995] == pytest.approx(1, abs=1e-6)
    assert scaled[0] < 0
    assert scaled[-1] > 1


def test_the_scale_may_be_applied_in_place() -> None:
    array = np.arange(1001, dtype=np.float32)
    expected = percentile_scale(array)
    assert percentile_scale(array, out=array) is array
    assert np.array_equal(array, expected)


def test_equal_percentiles_fall_back_to_the_extremes() -> None:
    array = np.zeros(10_000)
    array[0] = 50
    assert intensity_range(array, (0.5, 99.5)) == (0, 50)


@pytest.mark.parametrize(("value", "message"), [(7.0, "value 7"), (np.nan, "not finite")])
def test_images_without_a_scale_are_refused(value: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        percentile_scale(np.full((3, 3, 3), value))


def test_a_single_infinite_voxel_is_refused() -> None:
    array = np.arange(27.0)
    array[3] = -np.inf
    with pytest.raises(InputError, match="not finite"):
        percentile_scale(array)
