from pathlib import Path

import numpy as np
import pytest

from dvcl.leaks.fingerprint import voxels_sha256
from dvcl.preprocessing.geometry import orient
from dvcl.volume import Volume, read_volume, write_volume


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
