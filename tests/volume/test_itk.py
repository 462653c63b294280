"""NRRD and MetaImage, against SimpleITK's own physical points and hand-made headers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dvcl.errors import InputError
from dvcl.volume import (
    Volume,
    read_geometry,
    read_label,
    read_volume,
    source_files,
    write_volume,
)

sitk = pytest.importorskip("SimpleITK")

ARRAY = np.random.default_rng(0).integers(-1000, 1000, (7, 8, 9)).astype(np.int16)
LPS = np.array([-1, -1, 1])
SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".seg.nrrd")

NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 9 8 7
space directions: (0.5,0,0) (0,2,0) (0,0,3)
endian: little
encoding: raw
space origin: (10,20,30)
"""

META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 10 20 30
ElementSpacing = 0.5 2 3
DimSize = 9 8 7
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def image_of(array: np.ndarray = ARRAY, turn: Rotation | None = None):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 1.3, 4.0))
    image.SetOrigin((-10.5, 20.25, 300))
    image.SetDirection((turn or Rotation.identity()).as_matrix().ravel().tolist())
    return image


@pytest.fixture
def nrrd(tmp_path: Path):
    """nrrd(old, new) -> path of a hand-made NRRD file with that change of its header."""

    def write(old: str = "", new: str = "", data: bytes = ARRAY.tobytes()) -> Path:
        assert old in NRRD
        path = tmp_path / "a.nrrd"
        path.write_bytes(NRRD.replace(old, new, 1).encode() + b"\n" + data)
        return path

    return write


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=10, deadline=None)
@given(angles=st.tuples(*[st.floats(-180, 180)] * 3))
def test_every_voxel_lies_where_simpleitk_says(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, angles: tuple[float, ...]
) -> None:
    path = tmp_path_factory.mktemp("itk") / f"größe 1.2{suffix}"
    image = image_of(turn=Rotation.from_euler("xyz", angles, degrees=True))
    sitk.WriteImage(image, str(path))
    volume = read_volume(path, None)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.spacing_mm == pytest.approx((4.0, 1.3, 0.7))
    for index in [(0, 0, 0), (8, 0, 0), (0, 7, 0), (0, 0, 6), (3, 5, 2)]:
        ours = (volume.affine @ (*index, 1))[:3]
        assert ours * LPS == pytest.approx(image.TransformIndexToPhysicalPoint(index), abs=1e-3)
    geometry = read_geometry(path)
    assert geometry.shape == (7, 8, 9)
    assert np.array_equal(geometry.affine, volume.affine)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float32", "float64"])
def test_labels_of_any_type_are_int32_or_narrower(tmp_path: Path, suffix: str, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"a{suffix}"))
    label = read_label(tmp_path / f"a{suffix}").array
    assert label.dtype == (dtype if "8" in dtype or "16" in dtype else "int32")
    assert np.array_equal(label, array)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_what_we_write_simpleitk_reads_in_the_same_place(tmp_path: Path, suffix: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (10, 20, 30), degrees=True).as_matrix() * (1, 2, 3)
    affine[:3, 3] = (5, -6, 7)
    write_volume(tmp_path / f"a{suffix}", Volume(ARRAY, affine))
    image = sitk.ReadImage(str(tmp_path / f"a{suffix}"))
    assert np.array_equal(sitk.GetArrayFromImage(image), ARRAY)
    point = image.TransformIndexToPhysicalPoint((3, 5, 2))
    assert point * LPS == pytest.approx((affine @ (3, 5, 2, 1))[:3], abs=1e-4)
    assert np.allclose(read_volume(tmp_path / f"a{suffix}").affine, affine, atol=1e-5)
    assert not list(tmp_path.glob(".partial*"))


def test_other_spaces_are_turned(nrrd) -> None:
    assert read_geometry(nrrd()).affine[:3, 3].tolist() == [-10, -20, 30]
    changed = nrrd("left-posterior-superior", "right-anterior-superior")
    assert read_geometry(changed).affine[:3, 3].tolist() == [10, 20, 30]
    assert read_geometry(changed).orientation == "RAS"
    assert read_geometry(nrrd("left-posterior-superior", "LAS")).orientation == "LAS"


def test_big_endian_and_a_grid_without_space_are_read(nrrd) -> None:
    directions = "space: left-posterior-superior\n"
    path = nrrd("endian: little", "endian: big", ARRAY.astype(">i2").tobytes())
    assert np.array_equal(read_volume(path, None).array, ARRAY)
    text = path.read_bytes().replace(directions.encode(), b"")
    text = text.replace(b"space directions: (0.5,0,0) (0,2,0) (0,0,3)", b"spacings: 0.5 2 3")
    path.write_bytes(text.replace(b"space origin: (10,20,30)\n", b""))
    assert read_geometry(path).spacing_mm == (3, 2, 0.5)
    assert read_geometry(path).orientation == "LPS"


def test_shear_is_read_as_it_stands(nrrd) -> None:
    affine = read_geometry(nrrd("(0,2,0)", "(0.5,2,0)")).affine
    assert affine[:3, 1] == pytest.approx([-0.5, -2, 0])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("space directions: (0.5,0,0) (0,2,0) (0,0,3)\n", "", "no voxel spacing; 'space direc"),
        ("left-posterior-superior", "scanner-xyz", "the header's space is 'scanner-xyz'"),
        ("endian", 'space units: "m" "m" "m"\nendian', "gives lengths in m; mm were expected"),
        ("(0,0,3)", "(0,0,3000)", "no usable voxel spacing"),
        ("sizes: 9 8 7", "sizes: 504 1 1", "has the size 504 x 1 x 1"),
        ("(0,2,0)", "(0,x,0)", "cannot be read"),
        ("encoding: raw", "encoding: bzip2", "its voxels are compressed with bzip2, which is not"),
    ],
)
def test_headers_that_cannot_be_used_are_refused(nrrd, old: str, new: str, expected: str) -> None:
    with pytest.raises(InputError, match=r"a\.nrrd: ") as error:
        read_volume(nrrd(old, new))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    "pair", ["space:=x", 'space units:="m"', "encoding:=bzip2", "Space Directions:=none"]
)
def test_pairs_of_nrrd_are_no_fields(nrrd, pair: str) -> None:
    volume = read_volume(nrrd("endian", f"{pair}\nendian"), None)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.affine[:3, 3].tolist() == [-10, -20, 30]


@pytest.fixture
def meta(tmp_path: Path):
    """meta(old, new) -> path of a hand-made MetaImage with that change of its header."""

    def write(old: str = "", new: str = "", data: bytes = ARRAY.tobytes()) -> Path:
        assert old in META
        path = tmp_path / "a.mha"
        path.write_bytes(META.replace(old, new, 1).encode() + data)
        return path

    return write


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Offset", "DistanceUnits = um\nOffset", "gives lengths in um; mm were expected"),
        ("Offset", "DistanceUnits = cm\nOffset", "gives lengths in cm; mm were expected"),
        ("ElementSpacing", "elementspacing", "says 'elementspacing', which other programs pass"),
        ("Offset", "offset", "says 'offset', which other programs pass over; 'Offset' was expe"),
        ("TransformMatrix", "transformMatrix", "'TransformMatrix' was expected"),
        ("NDims", "ndims", "'NDims' was expected"),
        ("ElementSpacing = 0.5 2 3\n", "", "no voxel spacing; 'ElementSpacing' was expected"),
    ],
)
def test_meta_headers_that_itk_reads_otherwise_are_refused(
    meta, old: str, new: str, expected: str
) -> None:
    with pytest.raises(InputError, match=r"a\.mha: ") as error:
        read_volume(meta(old, new))
    assert expected in str(error.value)


@pytest.mark.parametrize("more", ["", "DistanceUnits = mm\n", "Comment = space: x\n"])
@pytest.mark.parametrize("compressed", ["False", "True"])
def test_meta_images_written_as_text_are_read(meta, more: str, compressed: str) -> None:
    """ITK passes over CompressedData there."""
    path = meta(
        "BinaryData = True\n",
        f"BinaryData = False\nCompressedData = {compressed}\n{more}",
        " ".join(map(str, ARRAY.ravel())).encode() + b"\n",
    )
    volume = read_volume(path, None)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.affine[:3, 3].tolist() == [-10, -20, 30]


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_only_one_volume_of_one_number_per_voxel_is_taken(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    stack = np.zeros((2, 3, 4, 5), np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(stack[:1], isVector=False), str(path))
    assert read_volume(path).shape == (3, 4, 5)
    sitk.WriteImage(sitk.GetImageFromArray(stack, isVector=False), str(path))
    with pytest.raises(InputError, match=f"a{suffix}: has the size 5 x 4 x 3 x 2;"):
        read_geometry(path)
    sitk.WriteImage(sitk.GetImageFromArray(stack, isVector=True), str(path))
    with pytest.raises(InputError, match=f"a{suffix}: has 5 numbers per voxel"):
        read_geometry(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("content", [b"<html>404 not found</html>\n" * 20, b"\x00\xff" * 300])
def test_what_is_neither_format_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(InputError, match="is neither NRRD nor MetaImage"):
        read_volume(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_truncated_voxels_are_refused(
    tmp_path: Path, suffix: str, share: float, compressed: bool
) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image_of(), str(path), useCompression=compressed)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"truncated.*7 x 8 x 9 voxels") as error:
        read_volume(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd"])
def test_one_wrong_bit_of_compressed_voxels_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image_of(), str(path), useCompression=True)
    assert np.array_equal(read_volume(path, None).array, ARRAY)
    data = source_files(path)[-1]
    content = bytearray(data.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    data.write_bytes(content)
    with pytest.raises(InputError, match="truncated, damaged"):
        read_volume(path)


@pytest.mark.parametrize(("suffix", "data"), [(".nhdr", ".raw"), (".mhd", ".raw")])
def test_both_files_of_a_detached_header_belong_to_it(
    tmp_path: Path, suffix: str, data: str
) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image_of(), str(path))
    assert source_files(path) == [path, tmp_path / f"a{data}"]
    (tmp_path / f"a{data}").unlink()
    for read in (source_files, read_geometry, read_volume):
        with pytest.raises(InputError, match=rf"a{suffix}: its voxels are in .*a{data}, which is"):
            read(path)


def test_voxels_in_a_list_of_files_are_refused(nrrd) -> None:
    with pytest.raises(InputError, match="lie in several files"):
        source_files(nrrd("encoding", "data file: LIST\nencoding"))


def test_a_single_file_is_its_own_source(nrrd) -> None:
    path = nrrd()
    assert source_files(path) == [path]
