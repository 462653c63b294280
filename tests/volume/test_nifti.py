import gzip
import re
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.errors import InputError
from dvcl.volume import (
    Volume,
    read_geometry,
    read_label,
    read_volume,
    source_files,
    write_volume,
)

AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])

# Byte offsets of fields in a NIfTI-1 header.
DIM, PIXDIM, SLOPE, UNITS, QFORM_CODE, QUATERNION, SROW_X = 40, 76, 112, 123, 252, 256, 280


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(7, 8, 9)).astype(np.float32)


@pytest.fixture
def header_of(tmp_path: Path, array: np.ndarray):
    """header_of(offset, bytes, ...) -> a .nii file with those bytes of its header replaced."""

    def write(*fields: tuple[int, bytes]) -> Path:
        path = tmp_path / "header.nii"
        write_volume(path, Volume(array, AFFINE))
        content = bytearray(path.read_bytes())
        for offset, value in fields:
            content[offset : offset + len(value)] = value
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_round_trip_keeps_values_grid_and_type(tmp_path: Path, suffix: str, dtype: str) -> None:
    path = tmp_path / f"größe 1.2{suffix}"
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    write_volume(path, Volume(array, AFFINE))
    again = read_volume(path, dtype)
    assert again.array.dtype == dtype
    assert np.array_equal(again.array, array)
    assert np.allclose(again.affine, AFFINE, atol=1e-6)
    assert nibabel.load(path).get_data_dtype() == dtype


def test_the_first_axis_is_z(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), AFFINE)
    image.dataobj[1, 2, 3] = 7
    nibabel.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert volume.shape == (4, 3, 2)
    assert volume.array[3, 2, 1] == 7
    assert volume.spacing_mm == (4, 3, 2)
    assert volume.geometry.orientation == "LPS"
    assert read_geometry(tmp_path / "a.nii").shape == (4, 3, 2)


def test_uncompressed_files_are_not_held_open(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.nii"
    write_volume(path, Volume(array, AFFINE))
    volume = read_volume(path)
    base = volume.array
    while base is not None:
        assert not isinstance(base, np.memmap)
        base = getattr(base, "base", None)


def test_scaled_integers_are_read_as_their_values(tmp_path: Path) -> None:
    stored = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    image = nibabel.Nifti1Image(stored.T, AFFINE)
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert np.allclose(read_volume(tmp_path / "a.nii.gz").array, stored * 0.5 - 3)


def test_big_endian_and_nifti_2_are_read_in_native_order(tmp_path: Path) -> None:
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    header = nibabel.Nifti1Header(endianness=">")
    nibabel.save(nibabel.Nifti1Image(array, AFFINE, header), tmp_path / "big.nii")
    nibabel.save(nibabel.Nifti2Image(array.astype("<i2"), AFFINE), tmp_path / "two.nii.gz")
    for name in ("big.nii", "two.nii.gz"):
        volume = read_volume(tmp_path / name)
        assert volume.array.dtype == np.dtype("float32")
        assert np.array_equal(volume.array.T, array)


def test_a_header_and_its_data_in_two_files_are_one_volume(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Pair(array.T, AFFINE), tmp_path / "a.img")
    for name in ("a.hdr", "a.img"):
        assert np.array_equal(read_volume(tmp_path / name).array, array)
        assert np.allclose(read_geometry(tmp_path / name).affine, AFFINE)
    assert source_files(tmp_path / "a.hdr") == [tmp_path / "a.hdr", tmp_path / "a.img"]
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match=r"a\.hdr: .*truncated, damaged.*a\.img"):
        read_volume(tmp_path / "a.hdr")


def test_analyze_files_which_do_not_tell_left_from_right_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(np.ones((2, 3, 4), np.int16), AFFINE), tmp_path / "a.img")
    with pytest.raises(InputError, match=r"a\.hdr: is a \w+; .*left from right"):
        read_volume(tmp_path / "a.hdr")


def test_a_single_time_point_is_a_volume(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 3, 4, 1), np.uint8), AFFINE), tmp_path / "a.nii")
    assert read_volume(tmp_path / "a.nii").shape == (4, 3, 2)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((5, 6), np.float32), "has the size 5 x 6;"),
        (np.zeros((5, 6, 1), np.float32), "has the size 5 x 6 x 1;"),
        (np.zeros((2, 3, 4, 2), np.float32), "has the size 2 x 3 x 4 x 2;"),
        (np.zeros((2, 3, 4), np.complex64), "complex64"),
        (np.zeros((2, 3, 4), [(c, "u1") for c in "RGB"]), "one real number per voxel"),
    ],
    ids=["2-D", "one slice", "4-D", "complex", "colour"],
)
def test_what_is_no_single_volume_is_refused(
    tmp_path: Path, array: np.ndarray, expected: str
) -> None:
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), tmp_path / "a.nii")
    for read in (read_geometry, read_volume, read_label):
        with pytest.raises(InputError, match="a.nii: ") as error:
            read(tmp_path / "a.nii")
        assert expected in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.nii.gz", b"", "0 bytes"),
        ("a.nii.gz", b"<html>404 not found</html>", "it starts with b'<html>404 no'"),
        ("a.nii", b"<html>404 not found</html>" * 50, "it starts with b'<html>404 no'"),
        ("a.nii.gz", gzip.compress(b"<html>" * 300), "unpacked, it starts with b'<html>"),
        ("a.nii.gz", gzip.compress(bytes(2000))[:15], "gzip data end early"),
        ("a.nii", gzip.compress(bytes(2000)), "its name should end in .nii.gz"),
    ],
    ids=["empty", "page as gz", "page as nii", "page in gz", "cut in the header", "gz as nii"],
)
def test_what_is_no_nifti_is_refused(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_volume(tmp_path / name)
    assert len(error.value.problems) == 1
    assert f"{tmp_path / name}: " in str(error.value)
    assert expected in str(error.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.nii.gz").mkdir()
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    for name, expected in [
        ("none.nii", "no such file"),
        ("link.nii.gz", "no such file"),
        ("folder.nii.gz", "is a folder without DICOM slices"),
    ]:
        with pytest.raises(InputError, match=f"{name}: {expected}"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.998])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_truncated_voxels_are_refused(
    tmp_path: Path, array: np.ndarray, suffix: str, share: float
) -> None:
    path = tmp_path / f"a{suffix}"
    write_volume(path, Volume(array, AFFINE))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"(?s)truncated.*7 x 8 x 9 voxels .* expected"):
        read_volume(path)


def test_damaged_voxels_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.nii.gz"
    write_volume(path, Volume(array, AFFINE))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged.*CRC check failed"):
        read_volume(path)


@pytest.mark.parametrize("pixdim", [(1, 0, 2), (1, -3, 2), (1, float("nan"), 2)])
def test_impossible_spacing_is_refused(header_of, pixdim: tuple[float, ...]) -> None:
    path = header_of((PIXDIM, struct.pack("<4f", 1, *pixdim)), (QFORM_CODE, bytes(4)))
    with pytest.raises(InputError, match=r"header\.nii: .*(-3|0\.0|nan)"):
        read_geometry(path)


@pytest.mark.parametrize("spacing_mm", [1e-9, 0.001, 800, 1e4, 1e30])
def test_implausible_spacing_is_refused(header_of, spacing_mm: float) -> None:
    """Metres and micrometres that the header does not call so among them."""
    path = header_of((SROW_X, struct.pack("<4f", spacing_mm, 0, 0, 0)))
    expected = f"no usable voxel spacing, {spacing_mm:.4g} x 3 x 4 mm (x, y, z); numbers from 0.01"
    with pytest.raises(InputError, match=re.escape(expected)):
        read_geometry(path)


def test_problems_keep_to_one_line(tmp_path: Path, array: np.ndarray) -> None:
    write_volume(tmp_path / "a.nii", Volume(array, AFFINE))
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:400])
    with pytest.raises(InputError) as error:
        read_volume(tmp_path / "a.nii")
    assert "\n" not in str(error.value)


def test_an_affine_that_is_not_finite_is_refused(header_of) -> None:
    with pytest.raises(InputError, match=r"no usable voxel spacing.*nan"):
        read_geometry(header_of((SROW_X, struct.pack("<f", float("nan")))))


def test_a_singular_affine_is_refused(header_of) -> None:
    rows = struct.pack("<12f", *(1, 1, 0, 0), *(1, 1, 0, 0), *(0, 0, 1, 0))
    with pytest.raises(InputError, match="singular"):
        read_geometry(header_of((SROW_X, rows)))


@pytest.mark.parametrize(("code", "unit"), [(1, "metres"), (3, "micrometres")])
def test_units_other_than_millimetres_are_refused(header_of, code: int, unit: str) -> None:
    with pytest.raises(InputError, match=f"lengths in {unit}; millimetres"):
        read_geometry(header_of((UNITS, bytes([code]))))
    assert read_geometry(header_of((UNITS, bytes([0])))).spacing_mm == (4, 3, 2)


@pytest.mark.parametrize("slope", [float("inf"), float("-inf")])
def test_an_endless_slope_is_refused(header_of, slope: float) -> None:
    """nibabel takes it for no scaling at all."""
    with pytest.raises(InputError, match=f"header.nii: the header's scl_slope is {slope}; a fin"):
        read_volume(header_of((SLOPE, struct.pack("<f", slope))))


def test_a_quaternion_that_rounding_made_too_long_is_a_half_turn(header_of) -> None:
    """w² is -4.8e-7; nibabel refuses below -3.6e-7, ITK takes any."""
    half_turn = np.array([0.6, 0.8, 0]) * np.sqrt(1 + 4.8e-7)
    path = header_of(
        (QFORM_CODE, struct.pack("<2h", 1, 0)), (QUATERNION, struct.pack("<3f", *half_turn))
    )
    turn = [[-0.28, 0.96, 0], [0.96, 0.28, 0], [0, 0, -1]]
    assert np.allclose(read_geometry(path).affine[:3, :3], np.multiply(turn, (2, 3, 4)), atol=1e-6)


def test_a_quaternion_that_is_too_long_is_named(header_of) -> None:
    path = header_of(
        (QFORM_CODE, struct.pack("<2h", 1, 0)), (QUATERNION, struct.pack("<3f", 0.8, 0.8, 0))
    )
    with pytest.raises(InputError) as error:
        read_geometry(path)
    assert str(error.value) == (
        f"{path}: the quaternion of its qform is (0.8, 0.8, 0), of the length 1.13137; at most 1 "
        "was expected. Correct the header or export the file again."
    )


def test_a_header_that_claims_too_much_is_refused(header_of) -> None:
    path = header_of((DIM, struct.pack("<4h", 3, 32767, 32767, 32767)))
    with pytest.raises(InputError, match="32767 x 32767 x 32767 voxels"):
        read_volume(path)


def test_random_damage_of_the_header_gives_a_volume_or_a_named_error(
    header_of, capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    messages = []
    for _ in range(150):
        damage = [(int(random.integers(348)), random.bytes(1)) for _ in range(3)]
        try:
            read_label(header_of(*damage))
        except InputError as error:
            messages.append(str(error))
    assert messages
    assert all("header.nii: " in message for message in messages)
    assert capfd.readouterr().err == "", "remarks that name no file"


def test_nan_is_left_to_the_check_of_the_data_set(tmp_path: Path) -> None:
    array = np.full((2, 3, 4), 1e300)
    array[0, 0, 0] = np.nan
    write_volume(tmp_path / "a.nii", Volume(array, AFFINE))
    read = read_volume(tmp_path / "a.nii").array
    assert np.isnan(read[0, 0, 0])
    assert np.isinf(read[1:]).all()


def test_labels_with_header_round_off_are_repaired(tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    write_volume(tmp_path / "a.nii.gz", Volume(array + 0.0009 * (-1.0) ** array, AFFINE))
    label = read_label(tmp_path / "a.nii.gz").array
    assert label.dtype == np.int32
    assert np.array_equal(label, array)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float64"])
def test_labels_of_any_type_are_int32_or_narrower(tmp_path: Path, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    image = nibabel.Nifti1Image(array.T, AFFINE, dtype=dtype)
    nibabel.save(image, tmp_path / "a.nii.gz")
    label = read_label(tmp_path / "a.nii.gz").array
    assert label.dtype == (dtype if "8" in dtype or "16" in dtype else "int32")
    assert np.array_equal(label, array)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "2 voxels are not whole numbers, for example 0.5"),
        (np.nan, "2 voxels are not whole numbers, for example nan"),
        (np.inf, "2 voxels are not whole numbers, for example inf"),
        (2.0**40, "holds the value 1.09951e+12"),
        (-(2.0**31) - 1, "holds the value -2.14748e+09"),
    ],
)
def test_what_is_no_label_is_refused(tmp_path: Path, value: float, expected: str) -> None:
    array = np.ones((2, 3, 4))
    array[0, 0, :2] = value
    write_volume(tmp_path / "a.nii", Volume(array, AFFINE))
    with pytest.raises(InputError) as error:
        read_label(tmp_path / "a.nii")
    assert f"a.nii: {expected}" in str(error.value)
