from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvcl.preprocessing.geometry import orient
from dvcl.store.writing import choose_organ_voxels, quantise, voxels_sha256
from dvcl.volume import Volume, read_volume, write_volume


@settings(deadline=None, max_examples=60)
@given(st.floats(-3, 3), st.floats(1, 12), st.integers(0, 2**31))
def test_sixteen_bits_hold_an_image_within_1e_4(low: float, span: float, seed: int) -> None:
    image = (low + span * np.random.default_rng(seed).random((5, 6, 7))).astype(np.float32)
    integers, scale, offset = quantise(image)
    assert integers.dtype == np.int16
    assert np.abs(integers * np.float32(scale) + np.float32(offset) - image).max() < 1e-4
    # The percentiles of a prepared image span 1, so float32 resolves every one of the steps.
    assert (integers.min(), integers.max()) == (-32768, 32767)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAR", "PIL"])
def test_the_hash_is_of_the_scan_not_of_its_file(codes: str) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    volume = Volume(array, np.diag([1.0, 2.0, 3.0, 1.0]))
    turned = orient(volume, codes)
    as_float = Volume(turned.array.astype(np.float64), turned.affine)
    assert voxels_sha256(as_float) == voxels_sha256(volume)


def test_the_hash_sees_one_voxel_and_the_shape_but_not_the_sign_of_zero() -> None:
    affine = np.eye(4)
    zeros = Volume(np.zeros((4, 5, 6), np.float32), affine)
    assert voxels_sha256(Volume(-zeros.array, affine)) == voxels_sha256(zeros)
    assert voxels_sha256(Volume(zeros.array.reshape(5, 4, 6), affine)) != voxels_sha256(zeros)
    changed = zeros.array.copy()
    changed[0, 0, 1] = 1
    assert voxels_sha256(Volume(changed, affine)) != voxels_sha256(zeros)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u1", "f4", "f8"])
def test_the_hash_does_not_depend_on_the_dtype_on_disk(tmp_path: Path, dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 200, (4, 5, 6))
    expected = voxels_sha256(Volume(array, np.eye(4)))
    write_volume(tmp_path / "a.nii.gz", Volume(array.astype(dtype), np.eye(4)))
    assert voxels_sha256(read_volume(tmp_path / "a.nii.gz")) == expected


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
