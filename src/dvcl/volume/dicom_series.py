"""Which DICOM files of a folder are the slices of which series, by their headers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError, counted
from dvcl.volume.dicom_start import dicom_start
from dvcl.volume.grid import by
from dvcl.volume.names import DICOM_SUFFIXES, files_below, import_dicom, is_dicom, on_one_line

# Nothing that tells who the patient is.
TAGS = (
    *("SOPClassUID", "Modality", "ImageType"),
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "InstanceNumber"),
    *("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PixelSpacing"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
    *("PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
)
# These have voxels too, but are no scans.
DERIVED = ("SEG", "RTDOSE")
UNIT_TOLERANCE = 1e-3  # of the length of a direction
LISTED = 5


@dataclass(frozen=True)
class Slice:
    """One slice: its file, and where it lies in DICOM's LPS world.

    Attributes:
        path: The file.
        series: What tells its series from others, and the words for it.
        size: Voxels (rows, columns).
        spacing_mm: Between rows, between columns.
        across: (3,) direction in which the column index grows.
        down: (3,) direction in which the row index grows.
        position: (3,) centre of the first voxel, in mm.
        compression: Name of the transfer syntax.
        modality: As "CT".
        photometric: Whether high values are to be shown bright (MONOCHROME2) or dark (MONOCHROME1).
        number: In its series; None where it has none.
        rescaling: Which of slope and intercept it has, in words.
    """

    path: Path
    series: tuple[str, str]
    size: tuple[int, int]
    spacing_mm: tuple[float, float]
    across: np.ndarray
    down: np.ndarray
    position: np.ndarray
    compression: str
    modality: str
    photometric: str
    number: int | None
    rescaling: str

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector across the slice, so that (across, down, normal) is right-handed."""
        normal = np.cross(self.across, self.down)
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Height and width."""
        return self.size[0] * self.spacing_mm[0], self.size[1] * self.spacing_mm[1]

    def is_parallel_to(self, other: Slice, tolerance_mm: float) -> bool:
        """Whether both directions agree, up to ``tolerance_mm`` at the far corner."""
        height, width = other.extent_mm
        return bool(
            np.linalg.norm(self.across - other.across) * width <= tolerance_mm
            and np.linalg.norm(self.down - other.down) * height <= tolerance_mm
        )


@dataclass(frozen=True)
class Series:
    """The slices of one series, and what else lies in its folder.

    Attributes:
        slices: Along their normal.
        left_out: Files that are no slices, by kind.
    """

    slices: list[Slice]
    left_out: Counter[str]

    @property
    def files_in_words(self) -> str:
        """How many files there are, how many are slices, and what the others are."""
        others = ", ".join(f"{count} {kind}" for kind, count in self.left_out.most_common())
        files = len(self.slices) + self.left_out.total()
        read = f"{counted(files, 'file')}: {counted(len(self.slices), 'slice')} read"
        return f"{read}, left out: {others or 'none'}"


def find_series(folder: Path) -> Series:
    """The one series in a folder and the folders inside it.

    Left aside: what is not DICOM, what is no scan (reports, contours, dose, segmentations,
    directories) and localizers.

    Raises:
        InputError: When pydicom is not installed, or the folder holds no series or several (which
            are listed); or with all slices that cannot be used.
    """
    dicom = import_dicom(folder)
    if dicom:  # its remarks on odd values name no file
        dicom.config.settings.reading_validation_mode = dicom.config.IGNORE
    slices: list[Slice] = []
    others: Counter[str] = Counter()
    problems: list[str] = []
    for path in files_below(folder):
        try:
            header = _read_header(dicom, path)
            if header is None or not _is_slice(header):
                others[_kind(header)] += 1
            else:
                slices.append(_slice(header, path))
        except InputError as error:
            problems += error.problems
    if problems:
        more = [f"{folder}: and {len(problems) - LISTED} more such files."]
        raise InputError(problems[:LISTED] + (more if len(problems) > LISTED else []))
    return Series(_the_only_one(folder, slices, others), others)


def _the_only_one(folder: Path, slices: list[Slice], others: Counter[str]) -> list[Slice]:
    series: dict[tuple[str, str], list[Slice]] = {}
    for slice_ in slices:
        series.setdefault(slice_.series, []).append(slice_)
    if not series:
        found = ", ".join(f"{count} {kind}" for kind, count in others.most_common()) or "nothing"
        raise InputError(
            f"{folder}: is a folder without DICOM slices, found {found}; the slices of one CT or "
            "MR series were expected. Check the path, or convert the files."
        )
    if len(series) > 1:
        listed = "; ".join(_description(folder, found) for found in series.values())
        raise InputError(
            f"{folder}: holds {len(series)} series ({listed}); one was expected. "
            f"{_apart(folder, [*series.values()])}"
        )
    normal = slices[0].normal
    return sorted(slices, key=lambda slice_: float(slice_.position @ normal))


def _apart(folder: Path, series: list[list[Slice]]) -> str:
    """What to do about several series: they may lie in folders of their own already."""
    within = [{slice_.path.relative_to(folder).parts[0] for slice_ in each} for each in series]
    names = [name for each in within for name in each]
    if len(set(names)) < len(names) or any((folder / name).is_file() for name in names):
        return "Move each that you want into a folder of its own."
    return (
        f"They lie in folders of their own there: where each is a scan, name {folder} instead of "
        "the folder above it; where one is, leave the others out."
    )


def _description(folder: Path, slices: list[Slice]) -> str:
    first = min(slices, key=lambda slice_: slice_.path)
    slice_count = f"{counted(len(slices), 'slice')} of {by(first.size[::-1])}"
    return f"{first.series[1]}, {slice_count}, {first.path.relative_to(folder)}"


def _read_header(dicom: Any, path: Path) -> Any:
    """The few tags we use; None for what is no DICOM, by its content and its name."""
    start = dicom_start(path) if is_dicom(path) else None
    if start is None:
        if path.name.lower().endswith(DICOM_SUFFIXES):
            raise InputError(
                f"{path}: is not DICOM, whatever its name says ({path.stat().st_size} bytes). Copy "
                "or export it again, or remove it."
            )
        return None
    if start == "damaged":
        raise _unreadable(path, "the mark DICM is missing behind its first 128 bytes")
    try:
        header = dicom.dcmread(
            path, stop_before_pixels=True, specific_tags=list(TAGS), force=start == "bare"
        )
        kind = _class_of(header).name
    except (dicom.errors.InvalidDicomError, OSError, EOFError, ValueError, LookupError) as error:
        raise _unreadable(path, on_one_line(error)) from error
    except AttributeError as error:
        raise _unreadable(path, "it does not say what it is") from error
    if kind.endswith("Image Storage") and "Rows" not in header:
        raise _unreadable(path, "it ends early")
    return header


def _class_of(header: Any) -> Any:
    """What is in the file, as it says itself or, for directories, its first group."""
    return header.get("SOPClassUID") or header.file_meta.MediaStorageSOPClassUID


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: its header cannot be read ({reason}). Copy or export it again.")


def _is_slice(header: Any) -> bool:
    is_localizer = "LOCALIZER" in (header.get("ImageType") or ())
    return "Rows" in header and not is_localizer and header.get("Modality") not in DERIVED


def _kind(header: Any) -> str:
    if header is None:
        return "other files"
    is_localizer = "LOCALIZER" in (header.get("ImageType") or ())
    return "localizer" if is_localizer else f"DICOM {header.get('Modality') or 'directory'}"


def _slice(header: Any, path: Path) -> Slice:
    """Take a header apart.

    Raises:
        InputError: When it is not that of a plain slice with a place.
    """
    frames = int(header.get("NumberOfFrames") or 1)
    samples = int(header.get("SamplesPerPixel") or 1)
    fault = {
        f"holds {frames} frames; one slice per file was expected. Export the series as single "
        "slices ('classic' DICOM), or convert it to NIfTI": frames > 1,
        f"has {samples} numbers per pixel; grey values were expected. It is no CT or MR slice: "
        "remove it": samples > 1,
        "maps its values through a table (Modality LUT); a slope and an intercept were expected. "
        "Convert the series to NIfTI": "ModalityLUTSequence" in header,
    }
    for words, is_so in fault.items():
        if is_so:
            raise InputError(f"{path}: {words}.")
    position = _numbers(header, "ImagePositionPatient", 3, path)
    directions = _numbers(header, "ImageOrientationPatient", 6, path)
    across, down = directions[:3], directions[3:]
    lengths = np.linalg.norm([across, down], axis=1)
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE:
        raise InputError(
            f"{path}: its ImageOrientationPatient is {by(directions.tolist())}; two directions of "
            "length 1 were expected. Export the series again."
        )
    row_mm, column_mm = _numbers(header, "PixelSpacing", 2, path).tolist()
    _check_scaling(header, path)
    syntax = header.file_meta.get("TransferSyntaxUID")
    return Slice(
        path, _series(header), (int(header.Rows), int(header.Columns)), (row_mm, column_mm),
        across, down, position, str(syntax.name) if syntax else "unknown",
        str(header.get("Modality")), str(header.get("PhotometricInterpretation")),
        _number(header), _rescaling(header),
    )  # fmt: skip


def _rescaling(header: Any) -> str:
    found = [tag for tag in ("RescaleSlope", "RescaleIntercept") if header.get(tag) is not None]
    return " and ".join(found) or "none"


def _check_scaling(header: Any, path: Path) -> None:
    """Refuse a slope by which every value is the same, which readers take for 1 in silence."""
    for tag in ("RescaleSlope", "RescaleIntercept"):
        if header.get(tag) is None:
            continue
        (number,) = _numbers(header, tag, 1, path)
        if tag == "RescaleSlope" and number == 0:
            raise InputError(
                f"{path}: its RescaleSlope is 0; another number was expected, by which stored "
                "values are multiplied. Export the series again."
            )


def _number(header: Any) -> int | None:
    try:
        return int(header.get("InstanceNumber"))
    except (TypeError, ValueError):
        return None


def _numbers(header: Any, tag: str, count: int, path: Path) -> np.ndarray:
    try:
        numbers = np.atleast_1d(np.array(header.get(tag), dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise InputError(
            f"{path}: its {tag} is {header.get(tag)!s}; {count} numbers were expected, without "
            "which its place in the patient or its values are unknown. Export the series again, or "
            "remove the file if it is a report or a screenshot."
        )
    return numbers


def _series(header: Any) -> tuple[str, str]:
    name = header.get("SeriesDescription") or "without a description"
    words = f"{header.get('Modality') or 'unknown'} {name!r}, number {header.get('SeriesNumber')}"
    return str(header.get("SeriesInstanceUID")), words
