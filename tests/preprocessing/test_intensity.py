import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvcl.errors import InputError
from dvcl.preprocessing.intensity import (
    clip_window,
    intensity_range,
    percentile,
    percentile_scale,
)


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


PERCENTS = (0, 0.5, 12.3, 50, 99.5, 100)


@pytest.mark.parametrize("kind", ["noise", "clipped", "two values", "sorted", "stripes", "spike"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_percentiles_are_those_of_numpy(kind: str, dtype: str) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(40, 90, 100)) * 400
    array = {
        "noise": noise,
        "clipped": noise.clip(-325, 325),
        "two values": np.where(noise > 900, 7.0, -3.0),
        "sorted": np.sort(noise.ravel()),
        # Every third voxel, which the sample takes, is unlike the rest.
        "stripes": np.where(np.arange(noise.size) % 3, noise.ravel(), 5000.0),
        "spike": np.where(np.arange(noise.size) == 7, 1e4, 0.0),
    }[kind].astype(dtype)
    for percent in PERCENTS:
        expected = np.percentile(array.astype(np.float64), percent)
        assert percentile(array, percent) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.floats(0, 100))
def test_percentiles_of_few_values_are_those_of_numpy(values: list[float], percent: float) -> None:
    array = np.array(values, dtype=np.float32)
    expected = np.percentile(array.astype(np.float64), percent)
    assert percentile(array, percent) == pytest.approx(expected, rel=1e-6, abs=1e-6)
