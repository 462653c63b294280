import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dvcl.store.writing import choose_organ_voxels, quantise


@settings(deadline=None, max_examples=60)
@given(st.floats(-3, 3), st.floats(1, 12), st.integers(0, 2**31))
def test_sixteen_bits_hold_an_image_within_1e_4(low: float, span: float, seed: int) -> None:
    image = (low + span * np.random.default_rng(seed).random((5, 6, 7))).astype(np.float32)
    integers, scale, offset = quantise(image)
    assert integers.dtype == np.int16
    assert np.abs(integers * np.float32(scale) + np.float32(offset) - image).max() < 1e-4
    # The percentiles of a prepared image span 1, so float32 resolves every one of the steps.
    assert (integers.min(), integers.max()) == (-32768, 32767)


def test_organ_voxels_lie_in_their_organs_and_spread_over_them() -> None:
    label = np.zeros((10, 30, 40), np.uint8)
    label[1:9, :20] = 3
    label[5, 25, 7] = 1
    rows = choose_organ_voxels(label, limit=100)
    assert rows.dtype == np.int32
    assert rows[:, 0].tolist() == [1] + [3] * 100
    assert np.array_equal(label[tuple(rows[:, 1:].T)], rows[:, 0])
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert set(rows[1:, 1]) == set(range(1, 9))
    assert np.array_equal(rows, choose_organ_voxels(label, limit=100))


def test_a_label_without_organs_has_no_organ_voxels() -> None:
    assert choose_organ_voxels(np.zeros((3, 4, 5), np.uint8)).shape == (0, 4)
