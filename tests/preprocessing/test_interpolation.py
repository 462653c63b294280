import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dvcl.preprocessing.interpolation import linear_taps, nearest_index, resampling_matrix


def centred(source_size: int, target_size: int, step: float) -> tuple[float, float]:
    return ((source_size - 1) - (target_size - 1) * step) / 2, step


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(
    ("source", "target", "step"), [(40, 61, 0.66), (41, 13, 3.2), (7, 30, 0.3)]
)
def test_matrix_reads_as_scipy(order: int, source: int, target: int, step: float) -> None:
    line = np.random.default_rng(0).uniform(-1000, 1000, source)
    start, _ = centred(source, target, step)
    positions = (start + step * np.arange(target))[None]
    expected = ndimage.map_coordinates(line, positions, order=order, mode="nearest")
    matrix = resampling_matrix(source, target, start, step, order)
    read = matrix @ torch.from_numpy(line.astype(np.float32))
    assert np.abs(read.numpy() - expected).max() < 1e-3


@pytest.mark.parametrize("order", [1, 3])
def test_rows_sum_to_one_and_hold_no_denormals(order: int) -> None:
    matrix = resampling_matrix(200, 150, 0.1, 1.32, order)
    assert matrix.dtype == torch.float32
    assert torch.allclose(matrix.sum(1), torch.ones(150), atol=1e-6)
    assert matrix[matrix != 0].abs().min() >= 1e-9


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.1, 5), st.floats(-3, 3))
def test_linear_matrix_and_taps_are_one_operator(
    source: int, target: int, step: float, start: float
) -> None:
    line = torch.arange(float(source)) ** 2
    taps = linear_taps(source, target, start, step)
    by_taps = torch.lerp(line[taps.lower], line[taps.upper], torch.from_numpy(taps.weight))
    by_matrix = resampling_matrix(source, target, start, step, 1) @ line
    assert torch.allclose(by_taps, by_matrix, rtol=1e-5, atol=1e-3)


def test_beyond_the_ends_the_end_voxel_is_repeated() -> None:
    line = torch.tensor([2.0, 4.0, 8.0])
    assert (resampling_matrix(3, 5, -1.0, 1.0, 1) @ line).tolist() == [2, 2, 4, 8, 8]


def test_nearest_voxel_as_scipy_and_halfway_upwards() -> None:
    start, step = centred(20, 10, 2.0)
    halfway = nearest_index(20, 10, start, step)
    assert halfway.tolist() == list(range(1, 20, 2))
    positions = (start + step * np.arange(10))[None]
    by_scipy = ndimage.map_coordinates(np.arange(20), positions, order=0, mode="nearest")
    assert halfway.tolist() == by_scipy.tolist()
    round_off = nearest_index(20, 10, start - 1e-12, step)
    assert round_off.tolist() == halfway.tolist()
