"""DICOM series written by pydicom: their voxels, their place, and what is wrong with them."""

import locale
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dvcl.errors import InputError
from dvcl.volume import is_volume, read_geometry, read_volume, source_files

pydicom = pytest.importorskip("pydicom")
sitk = pytest.importorskip("SimpleITK")

UID = "1.2.826.0.1.3680043.8.498."
CT_SLICE = "1.2.840.10008.5.1.4.1.1.2"
RANDOM = np.random.default_rng(0)
STORED = RANDOM.integers(0, 3000, (5, 6, 8)).astype(np.uint16)

WriteSlice = Callable[..., Path]


@pytest.fixture
def write_slice(tmp_path: Path) -> WriteSlice:
    """write_slice(index, place="series/name", Tag=value, ...) -> path of one DICOM file."""

    def write(index: int, place: str | None = None, **tags) -> Path:
        pixels = STORED[index % len(STORED)]
        values = {
            "SOPClassUID": CT_SLICE,
            "SOPInstanceUID": f"{UID}9.{index + 1}",
            "SeriesInstanceUID": f"{UID}1",
            "SeriesDescription": "Abdomen",
            "SeriesNumber": 3,
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "Rows": 6,
            "Columns": 8,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            "PixelSpacing": [0.7, 0.9],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [-100, -120, 10 + 2.5 * index],
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            "PixelData": pixels.tobytes(),
        } | tags
        dataset = pydicom.Dataset()
        for tag, value in values.items():
            if value is not None:
                setattr(dataset, tag, value)
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        # The order of the names is not that of the slices.
        path = tmp_path / (place or f"series/IM{(index * 7) % 5:04d}.x")
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def series(tmp_path: Path, write_slice: WriteSlice):
    """series(lambda index: {...}) -> folder with 5 slices, each with those tags."""

    def write(tags=lambda index: {}, count: int = 5) -> Path:
        for index in range(count):
            write_slice(index, **tags(index))
        return tmp_path / "series"

    return write


def refusal(folder: Path) -> str:
    messages = set()
    for read in (read_geometry, read_volume):
        with pytest.raises(InputError) as error:
            read(folder)
        messages.add(str(error.value))
    (message,) = messages
    assert str(folder) in message
    return message


def test_slices_are_ordered_by_place_and_rescaled(series) -> None:
    folder = series()
    volume = read_volume(folder, None)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, STORED.astype(int) - 1024)
    assert volume.spacing_mm == pytest.approx((2.5, 0.7, 0.9))
    assert volume.geometry.orientation == "LPS"
    assert volume.affine[:3, 3].tolist() == [100, 120, 10]
    assert [pydicom.dcmread(path).ImagePositionPatient[2] for path in source_files(folder)] == [
        10, 12.5, 15, 17.5, 20,
    ]  # fmt: skip


def test_every_slice_has_its_own_slope(series) -> None:
    folder = series(lambda i: {"RescaleSlope": 1 + 0.25 * i, "RescaleIntercept": -10 * i})
    slopes = np.arange(5)[:, None, None]
    expected = STORED * (1 + 0.25 * slopes) - 10 * slopes
    assert np.allclose(read_volume(folder).array, expected)


def test_magnetic_resonance_and_signed_values(series) -> None:
    signed = (STORED.astype(int) - 1500).astype(np.int16)
    folder = series(
        lambda i: {
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
            "Modality": "MR",
            "PixelRepresentation": 1,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelData": signed[i].tobytes(),
            "RescaleSlope": None,
            "RescaleIntercept": None,
        }
    )
    assert np.array_equal(read_volume(folder).array, signed)


def bare(path: Path) -> None:
    """Take away the 128 bytes in front and the mark behind them."""
    path.write_bytes(path.read_bytes()[132:])


def without_file_group(path: Path, is_explicit: bool) -> None:
    """Write the elements alone, as old scanners do."""
    dataset = pydicom.dcmread(path)
    del dataset.file_meta
    pydicom.dcmwrite(
        path, dataset, implicit_vr=not is_explicit, little_endian=True, enforce_file_format=False
    )


BARE = {
    "no preamble": bare,
    "explicit": lambda path: without_file_group(path, True),
    "implicit": lambda path: without_file_group(path, False),
}


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("form", BARE)
def test_slices_without_the_mark_are_slices(series, form: str, every: int) -> None:
    folder = series(lambda i: {"InstanceNumber": i + 1})
    for path in source_files(folder)[1::every]:
        BARE[form](path)
    assert is_volume(folder)
    volume = read_volume(folder, None)
    assert np.array_equal(volume.array, STORED.astype(int) - 1024)
    assert volume.spacing_mm == pytest.approx((2.5, 0.7, 0.9))
    assert volume.remarks == ()


@pytest.mark.parametrize("zeros", [0, 4])
def test_slices_whose_mark_alone_is_missing_are_named(series, zeros: int) -> None:
    """No reader takes these; they are not to vanish."""
    folder = series()
    for path in source_files(folder)[1::2]:
        content = path.read_bytes()
        path.write_bytes(content[:128] + bytes(zeros) + content[132:])
    message = refusal(folder)
    assert message.count("the mark DICM is missing behind its first 128 bytes") == 2


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ((1, 3, 5, 7, 9), "2, 4, 6, ..."),
        ((9, 7, 5, 3, 1), "2, 4, 6, ..."),
        ((1, 2, 3, 4, 6), "5"),
        ((11, 12, 13, 14, 15), ""),
        ((5, 4, 3, 2, 1), ""),
        ((2, 5, 1, 3, 4), ""),
        ((0, 0, 0, 0, 0), ""),
        ((1, 2, None, 9, 10), ""),
    ],
)
def test_numbers_of_slices_have_no_holes(series, numbers, missing: str) -> None:
    folder = series(lambda i: {"InstanceNumber": numbers[i]})
    (folder / "notes.txt").write_text("a")
    if missing:
        expected = (
            f"{folder}: slices with the numbers {missing} are missing between 1 and "
            f"{max(numbers)} (6 files: 5 slices read, left out: 1 other files);"
        )
        assert refusal(folder).startswith(expected)
    else:
        assert read_geometry(folder).shape == (5, 6, 8)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [12, 16])
def test_values_do_not_depend_on_how_they_are_shown(
    series, modality: str, signed: bool, bits: int
) -> None:
    stored = (STORED.astype(int) - (1500 if signed else 0)).astype(np.int16)
    folder = series(
        lambda i: {
            "PhotometricInterpretation": "MONOCHROME1",
            "Modality": modality,
            "PixelRepresentation": int(signed),
            "BitsStored": bits,
            "HighBit": bits - 1,
            "PixelData": stored[i].tobytes(),
        }
    )
    volume = read_volume(folder, None)
    assert np.array_equal(volume.array, stored.astype(int) - 1024)
    told = [] if modality == "CT" else ["inverted-display"]
    assert [remark.code for remark in volume.remarks] == told


@pytest.mark.parametrize("form", ["RLE", "bare"])
def test_inverted_slices_are_read_in_every_form(series, form: str) -> None:
    large = np.tile(STORED, (1, 8, 8))
    folder = series(
        lambda i: {
            "PhotometricInterpretation": "MONOCHROME1",
            "Rows": 48,
            "Columns": 64,
            "PixelData": large[i].tobytes(),
        }
    )
    for path in source_files(folder):
        if form == "bare":
            without_file_group(path, False)
        else:
            dataset = pydicom.dcmread(path)
            dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
            dataset.save_as(path)
    assert np.array_equal(read_volume(folder, None).array, large.astype(int) - 1024)


@pytest.mark.parametrize("angles", [(0, 0, 0), (90, 0, 0), (0, 90, 180), (12, -33, 71)])
@pytest.mark.parametrize("backward", [False, True])
def test_every_voxel_lies_where_simpleitk_says(
    series, angles: tuple[float, ...], backward: bool
) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    step = -2.5 if backward else 2.5

    def tags(index: int) -> dict:
        return {
            "ImageOrientationPatient": [f"{n:.12g}" for n in turn[:, :2].T.ravel()],
            "ImagePositionPatient": [f"{n:.10g}" for n in turn @ (10, 20, 30 + step * index)],
        }

    folder = series(tags)
    volume = read_volume(folder, None)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(image))
    for index in [(0, 0, 0), (7, 0, 0), (0, 5, 0), (0, 0, 4), (3, 5, 2)]:
        point = image.TransformIndexToPhysicalPoint(index)
        assert (volume.affine @ (*index, 1))[:3] * (-1, -1, 1) == pytest.approx(point, abs=1e-3)


def test_rounded_decimals_of_the_header_are_no_fault(series) -> None:
    folder = series(lambda i: {"ImagePositionPatient": [-100, -120, f"{10 + i * 10 / 3:.2f}"]})
    assert read_geometry(folder).spacing_mm[0] == pytest.approx(10 / 3, abs=0.005)


@pytest.fixture
def same_locale() -> Iterator[None]:
    """GDCM leaves the locale "C" behind after it has written JPEG."""
    kept = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, kept)


@pytest.mark.usefixtures("same_locale")
@pytest.mark.parametrize("codec", ["RLE", "JPEG"])
def test_compressed_slices_are_unpacked(series, codec: str) -> None:
    large = np.tile(STORED, (1, 8, 8))
    folder = series(lambda i: {"Rows": 48, "Columns": 64, "PixelData": large[i].tobytes()})
    for path in folder.iterdir():
        if codec == "RLE":
            dataset = pydicom.dcmread(path)
            dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
            dataset.save_as(path)
        else:
            image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            writer.SetImageIO("GDCMImageIO")
            writer.SetCompressor(codec)
            writer.Execute(image, str(path), True, -1)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(read_volume(folder, None).array, large.astype(int) - 1024)


def test_folders_inside_and_what_is_no_slice_are_no_hindrance(
    tmp_path: Path, write_slice: WriteSlice, series
) -> None:
    series()
    (tmp_path / "series").rename(tmp_path / "moved")
    (tmp_path / "series" / "study").mkdir(parents=True)
    (tmp_path / "moved").rename(tmp_path / "series" / "study" / "1")
    for name in ("notes.txt", "Thumbs.db", ".DS_Store"):
        (tmp_path / "series" / name).write_bytes(b"a" * 300)
    other = {"SeriesInstanceUID": f"{UID}2"}
    write_slice(0, "series/scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **other)
    write_slice(0, "series/dose", Modality="RTDOSE", NumberOfFrames=9, **other)
    report = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Rows": None, "PixelData": None}
    write_slice(0, "series/report", Modality="SR", **other, **report)
    volume = read_volume(tmp_path / "series")
    assert volume.shape == (5, 6, 8)
    assert len(source_files(tmp_path / "series")) == 5
    (remark,) = volume.remarks
    assert remark.code == "files-left-out"
    assert remark.text == (
        "holds 10 files: 5 slices read, left out: 2 other files, 1 DICOM RTDOSE, 1 DICOM SR, "
        "1 localizer."
    )


def test_series_in_folders_of_their_own_are_to_be_named_by_the_folder_of_these(
    tmp_path: Path, write_slice: WriteSlice
) -> None:
    """As on a disc, DICOM/CASE/slices: whoever names the disc means the cases."""
    for case in "12":
        for index in range(2):
            write_slice(index, f"disc/DICOM/p{case}/{index}", SeriesInstanceUID=f"{UID}{case}")
    told = refusal(tmp_path / "disc" / "DICOM")
    assert told.endswith(
        f"where each is a scan, name {tmp_path}/disc/DICOM instead of the folder above it; where "
        "one is, leave the others out."
    )


def test_several_series_are_listed(tmp_path: Path, write_slice: WriteSlice, series) -> None:
    folder = series()
    for index in range(2):
        write_slice(
            index, f"series/b/{index}", SeriesInstanceUID=f"{UID}2", SeriesNumber=4,
            SeriesDescription=None,
        )  # fmt: skip
    assert refusal(folder) == (
        f"{folder}: holds 2 series (CT 'Abdomen', number 3, 5 slices of 8 x 6, IM0000.x; "
        "CT 'without a description', number 4, 2 slices of 8 x 6, b/0); one was expected. Move "
        "each that you want into a folder of its own."
    )


def test_missing_slices_are_counted(write_slice: WriteSlice, tmp_path: Path) -> None:
    for index in (0, 1, 2, 5, 6, 8):
        write_slice(index, f"series/{index}")
    message = refusal(tmp_path / "series")
    assert (
        "about 3 slices are missing among 6: they are 2.50 mm apart, but 7.50 mm from 15.00 mm on, "
        "5.00 mm from 25.00 mm on along their normal. Copy the whole series." in message
    )


def test_uneven_slices_are_refused(series) -> None:
    places = [0, 2, 4.4, 6.4, 8.8]
    folder = series(lambda i: {"ImagePositionPatient": [0, 0, places[i]]})
    assert "its slices are 2.00 to 2.40 mm apart; equal gaps" in refusal(folder)


def test_slices_at_one_place_are_refused(write_slice: WriteSlice, series) -> None:
    folder = series()
    for index in range(2):
        write_slice(index, f"series/copy{index}")
    assert "2 of 7 slices lie where another one does, for example " in refusal(folder)
    assert "at 10.00 mm; one slice per place" in refusal(folder)


def test_a_tilted_gantry_is_refused_with_its_angle(series) -> None:
    shift = 2.5 * np.tan(np.radians(12))
    folder = series(lambda i: {"ImagePositionPatient": [0, shift * i, 2.5 * i]})
    assert "shifted sideways by up to 2.1 mm (a gantry tilt of 12.0 degrees?)" in refusal(folder)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"Rows": 4, "Columns": 12}, "different sizes (12 x 4; 8 x 6)"),
        ({"PixelSpacing": [0.7, 0.8]}, "different pixel spacings (0.7 x 0.8; 0.7 x 0.9)"),
        (
            {"ImageOrientationPatient": [0, 1, 0, -1, 0, 0]},
            "different orientations (0, 1, 0, -1, 0, 0; 1, 0, 0, 0, 1, 0)",
        ),
        ({"ImagePositionPatient": None}, "its ImagePositionPatient is None; 3 numbers"),
        ({"PixelSpacing": None}, "its PixelSpacing is None; 2 numbers"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 2, 0]}, "two directions of length 1"),
        ({"NumberOfFrames": 12}, "holds 12 frames; one slice per file"),
        ({"SamplesPerPixel": 3}, "has 3 numbers per pixel"),
        ({"ModalityLUTSequence": [pydicom.Dataset()]}, "Modality LUT"),
        ({"RescaleSlope": 0}, "its RescaleSlope is 0; another number"),
        (
            {"RescaleSlope": None, "RescaleIntercept": None},
            "different rescale tags (RescaleSlope and RescaleIntercept; none)",
        ),
        (
            {"PhotometricInterpretation": "MONOCHROME1"},
            "different photometric interpretations (MONOCHROME1; MONOCHROME2)",
        ),
    ],
    ids=[
        "size",
        "spacing",
        "turned",
        "nowhere",
        "no spacing",
        "length",
        "frames",
        "colour",
        "table",
        "slope",
        "rescaling",
        "photometric",
    ],
)
def test_a_slice_unlike_the_others_is_refused(series, tags: dict, expected: str) -> None:
    folder = series(lambda i: tags if i == 2 else {})
    assert expected in refusal(folder)


def test_rows_and_columns_at_other_than_right_angles_are_refused(series) -> None:
    tilted = [1, 0, 0, np.sin(0.2), np.cos(0.2), 0]
    folder = series(lambda i: {"ImageOrientationPatient": [f"{n:.9f}" for n in tilted]})
    assert "rows and columns of its slices are not at right angles (1.4 mm" in refusal(folder)


def test_a_single_slice_is_refused(series) -> None:
    folder = series(count=1)
    with pytest.raises(InputError, match=r"series: holds a single slice, IM0000\.x; at least 2"):
        read_volume(folder)


def test_all_bad_files_are_named_up_to_five(tmp_path: Path, series) -> None:
    folder = series()
    for index in range(8):
        (folder / f"page{index}.dcm").write_bytes(b"<html>" * index)
    message = refusal(folder)
    assert message.count("is not DICOM, whatever its name says") == 5
    assert "page1.dcm: is not DICOM, whatever its name says (6 bytes)." in message
    assert f"{folder}: and 3 more such files." in message


def test_a_folder_without_slices_says_what_it_holds(
    tmp_path: Path, write_slice: WriteSlice
) -> None:
    write_slice(0, "series/a", Modality="SEG", NumberOfFrames=4)
    (tmp_path / "series" / "notes.txt").write_text("a")
    assert "found 1 DICOM SEG, 1 other files; the slices of one" in refusal(tmp_path / "series")
    (tmp_path / "empty").mkdir()
    assert "found nothing;" in refusal(tmp_path / "empty")


@pytest.mark.parametrize("kept", [0.9, 0.99])
def test_truncated_voxels_are_refused(series, kept: float) -> None:
    folder = series()
    path = folder / "IM0002.x"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"IM0002\.x: the voxel data are truncated.*Explicit VR"):
        read_volume(folder)


@pytest.mark.parametrize(("length", "reason"), [(300, "ends early"), (140, "")])
def test_a_header_cut_short_is_named(series, length: int, reason: str) -> None:
    folder = series()
    path = folder / "IM0002.x"
    path.write_bytes(path.read_bytes()[:length])
    message = refusal(folder)
    assert message.startswith(f"{path}: its header cannot be read (")
    assert reason in message


def test_the_real_series_in_jpeg_2000(real_data: Path) -> None:
    folder = real_data / "abdomen" / "dicom"
    volume = read_volume(folder, None)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(image))
    point = image.TransformIndexToPhysicalPoint((100, 200, 19))
    assert (volume.affine @ (100, 200, 19, 1))[:3] * (-1, -1, 1) == pytest.approx(point)
    assert volume.spacing_mm == pytest.approx((2, 0.9765625, 0.9765625))
