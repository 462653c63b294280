from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dvcl.leaks.fingerprint import (
    BOX_CELLS,
    SMOOTHED_CELLS,
    ScanFingerprint,
    _along_axes,
    _smoothing_matrix,
    area_matrix,
    cell_means,
    coarse_look,
    fingerprint_scan,
    voxels_sha256,
)
from dvcl.leaks.likeness import ALIKE, SAME_SCAN, likeness
from dvcl.volume import Volume, read_volume, write_volume
from dvcl.volume.turning import orient


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


def blobs(seed: int = 0, shape: tuple[int, int, int] = (48, 56, 64)) -> Volume:
    """Smooth structure inside an ellipsoid, air around it."""
    random = np.random.default_rng(seed)
    inside = ndimage.gaussian_filter(random.standard_normal(shape), 3)
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in shape), indexing="ij")
    body = sum(axis**2 for axis in axes) < 1
    array = np.where(body, 40 + 100 * inside / inside.std(), -1000).astype(np.float32)
    return Volume(array, np.diag([1.0, 1.2, 2.0, 1.0]))


def alike(first: Volume, second: Volume) -> float:
    return float(likeness(coarse_look(first)[None], coarse_look(second)[None])[0, 0])


def on(array: np.ndarray, like: Volume) -> Volume:
    return Volume(np.ascontiguousarray(array), like.affine)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a + 1024,
        lambda a: np.clip(a, -160, 240),
        lambda a: a + np.random.default_rng(1).normal(0, 30, a.shape),
        lambda a: ndimage.zoom(a, 0.7, order=1, mode="nearest"),
        lambda a: np.pad(a, 6, constant_values=-1000),
        lambda a: a[4:],
        lambda a: a[:, 4:-4, 4:-4],
        lambda a: a[:, :, ::-1],
        lambda a: a[::-1, ::-1],
    ],
    ids=["offset", "window", "noise", "coarser", "padded", "shorter", "narrower", "left", "turned"],
)
def test_a_scan_in_disguise_is_known_again(change) -> None:
    scan = blobs()
    assert alike(scan, on(change(scan.array), scan)) > SAME_SCAN


def test_other_scans_of_the_same_outline_are_not() -> None:
    assert max(alike(blobs(0), blobs(seed)) for seed in range(1, 6)) < ALIKE - 0.1


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAR"])
def test_the_coarse_look_does_not_depend_on_the_orientation(codes: str) -> None:
    scan = blobs()
    assert np.abs(coarse_look(orient(scan, codes)).astype(int) - coarse_look(scan)).max() <= 1


def test_the_look_is_made_of_ranks_from_0_to_255() -> None:
    look = coarse_look(blobs())
    assert (look.dtype, look.shape) == (np.uint8, (24, 24, 24))
    assert look.max() == 255
    assert not coarse_look(Volume(np.full((4, 5, 6), 7), np.eye(4))).any()


def test_likeness_with_itself_is_that_with_a_copy() -> None:
    looks = np.stack([coarse_look(blobs(seed)) for seed in range(3)])
    whole = likeness(looks)
    assert np.allclose(whole, likeness(looks, looks.copy()), atol=1e-6)
    assert np.allclose(np.diag(whole), 1)


def test_cell_means_against_a_plain_loop() -> None:
    array = np.random.default_rng(0).random((12, 9, 8)).astype(np.float32)
    means = cell_means(array, (4, 3, 2))
    for place in np.ndindex(means.shape):
        z, y, x = place
        block = array[3 * z : 3 * z + 3, 3 * y : 3 * y + 3, 4 * x : 4 * x + 4]
        assert means[place] == pytest.approx(block.mean(), abs=1e-6)


def test_cells_take_voxels_in_part() -> None:
    assert np.allclose(area_matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    assert np.allclose(area_matrix(4, 2, 0.25, 0.75), [[0, 1, 0, 0], [0, 0, 1, 0]])


def test_fingerprints_survive_json() -> None:
    scan = fingerprint_scan(blobs())
    again = ScanFingerprint.from_json({**scan.to_json(), "other": 1})
    assert again.voxels_sha256 == scan.voxels_sha256
    assert np.array_equal(again.coarse, scan.coarse)
    old = ScanFingerprint("abc", None)
    assert ScanFingerprint.from_json(old.to_json()) == old


def test_smoothing_is_that_of_scipy() -> None:
    volume = np.random.default_rng(3).normal(size=(BOX_CELLS,) * 3).astype(np.float32)
    matrix = _smoothing_matrix()
    np.testing.assert_allclose(
        _along_axes(volume, matrix, matrix, matrix),
        ndimage.gaussian_filter(volume, SMOOTHED_CELLS, mode="nearest"),
        atol=1e-6,
    )
