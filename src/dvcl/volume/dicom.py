"""A DICOM series in a folder as one volume (extra ``formats``).

pydicom reads the headers; SimpleITK's GDCM reads the voxels, since it unpacks every usual
compression without further plugins, and applies rescale slope and intercept slice by slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dvcl.errors import InputError
from dvcl.volume.dicom_series import Series, Slice, find_series
from dvcl.volume.grid import Geometry, Remark, by, make_geometry
from dvcl.volume.itk import ras_affine
from dvcl.volume.names import import_extra

# What slices may be off from a regular grid, as rounding of the header's decimals makes it.
TOLERANCE_MM = 0.1
SAME_PLACE_MM = 0.01
LISTED = 3
INVERTED = "MONOCHROME1"


def dicom_geometry(folder: Path) -> Geometry:
    """Shape and affine of the one series in a folder, from the headers alone.

    Raises:
        InputError: When pydicom is not installed, or there is not exactly one series; or when its
            slices differ, are missing, lie twice at one place, or are sheared (gantry tilt).
    """
    return _geometry(folder, find_series(folder))


def read_dicom(folder: Path) -> tuple[np.ndarray, Geometry]:
    """Voxels as (D, H, W), in the smallest type that holds the rescaled values of all slices.

    Raises:
        InputError: As `dicom_geometry`, and when voxels are damaged or compressed in a way that
            cannot be read.
    """
    series = find_series(folder)
    geometry = _geometry(folder, series)
    arrays = [_voxels(slice_, geometry.shape[1:]) for slice_ in series.slices]
    # A slope of 1 leaves integers, another one makes floats, and slices may differ in that.
    return np.stack(arrays, dtype=np.result_type(*arrays), casting="safe"), geometry


def dicom_files(folder: Path) -> list[Path]:
    """The files of the one series in a folder, along its normal.

    Raises:
        InputError: As `find_series`.
    """
    return [slice_.path for slice_ in find_series(folder).slices]


def _geometry(folder: Path, series: Series) -> Geometry:
    slices = series.slices
    first = slices[0]
    _check_alike(folder, slices)
    height, width = first.size
    if len(slices) < 2:
        raise InputError(
            f"{folder}: holds a single slice, {first.path.name}; at least 2 were expected. "
            "Copy the whole series."
        )
    positions = np.array([slice_.position for slice_ in slices])
    _check_spacing(folder, slices, positions @ first.normal)
    _check_numbers(folder, series)
    _check_shear(folder, positions - positions[0], first.normal)
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    row_mm, column_mm = first.spacing_mm
    axes = np.stack([first.across * column_mm, first.down * row_mm, step], axis=1)
    geometry = make_geometry(folder, (width, height, len(slices)), ras_affine(axes, positions[0]))
    return replace(geometry, remarks=tuple(_remarks(series)))


def _remarks(series: Series) -> Iterator[Remark]:
    first = series.slices[0]
    if series.left_out:
        yield Remark("files-left-out", f"holds {series.files_in_words}.")
    # In CT the slope and intercept alone make HU; in MR nothing says what high values are.
    if first.photometric == INVERTED and first.modality != "CT":
        yield Remark(
            "inverted-display",
            f"its {first.modality} slices are to be shown with high values dark ({INVERTED}); "
            "values are read as they are stored.",
        )


def _check_alike(folder: Path, slices: list[Slice]) -> None:
    """All slices show the same rectangle, from the same direction."""
    first = slices[0]
    kinds = {
        "sizes": [by(slice_.size[::-1]) for slice_ in slices],
        "photometric interpretations": [slice_.photometric for slice_ in slices],
        # Without them a value stands for itself, so that some slices would be 1024 HU off.
        "rescale tags": [slice_.rescaling for slice_ in slices],
        "pixel spacings": [by(slice_.spacing_mm) for slice_ in slices],
        # Rounded differently from slice to slice, directions may still be the same.
        "orientations": [
            _directions(first if slice_.is_parallel_to(first, TOLERANCE_MM) else slice_)
            for slice_ in slices
        ],
    }
    for what, values in kinds.items():
        if len(set(values)) > 1:
            listed = "; ".join(sorted(set(values))[:LISTED])
            raise InputError(
                f"{folder}: the slices of its series have different {what} ({listed}); "
                "one volume was expected. Keep the slices of one scan in a folder of their own."
            )
    sheared_mm = abs(float(first.across @ first.down)) * max(first.extent_mm)
    if sheared_mm > TOLERANCE_MM:
        raise InputError(
            f"{folder}: rows and columns of its slices are not at right angles ({sheared_mm:.2g} "
            f"mm at the corner); at most {TOLERANCE_MM} mm was expected. Export the series again."
        )


def _directions(slice_: Slice) -> str:
    return ", ".join(f"{number:.4g}" for number in (*slice_.across, *slice_.down))


def _check_spacing(folder: Path, slices: list[Slice], along: np.ndarray) -> None:
    """Refuse slices that lie twice at a place, are missing, or are unevenly spaced."""
    gaps = np.diff(along)
    same = np.flatnonzero(gaps < SAME_PLACE_MM)
    if len(same):
        pair = f"{slices[same[0]].path.name} and {slices[same[0] + 1].path.name}"
        raise InputError(
            f"{folder}: {len(same)} of {len(slices)} slices lie where another one does, for "
            f"example {pair} at {along[same[0]]:.2f} mm; one slice per place was expected. Keep "
            "one time point, phase or echo, and no copies."
        )
    step = float(np.median(gaps))
    even = along[0] + np.arange(len(along)) * (along[-1] - along[0]) / len(gaps)
    if np.abs(along - even).max() <= TOLERANCE_MM:
        return
    holes = np.flatnonzero(gaps > 1.5 * step)
    if not len(holes):
        raise InputError(
            f"{folder}: its slices are {gaps.min():.2f} to {gaps.max():.2f} mm apart; equal gaps "
            f"(up to {TOLERANCE_MM} mm in all) were expected. Resample the series to even slices."
        )
    missing = int(np.rint(gaps[holes] / step - 1).sum())
    listed = ", ".join(f"{gaps[i]:.2f} mm from {along[i]:.2f} mm on" for i in holes[:LISTED])
    raise InputError(
        f"{folder}: about {missing} slice{'s are' if missing != 1 else ' is'} missing among "
        f"{len(slices)}: they are {step:.2f} mm apart, but {listed} along their normal. "
        "Copy the whole series."
    )


def _check_numbers(folder: Path, series: Series) -> None:
    """Refuse a series with holes in its numbers: every second slice too is evenly spaced."""
    numbers = [slice_.number for slice_ in series.slices if slice_.number is not None]
    if len({*numbers}) < len(series.slices):
        return  # without a number for each they say nothing
    holes = sorted({*range(min(numbers), max(numbers) + 1)} - {*numbers})
    if holes:
        listed = ", ".join(map(str, holes[:LISTED])) + (", ..." if len(holes) > LISTED else "")
        raise InputError(
            f"{folder}: slices with the numbers {listed} are missing between {min(numbers)} and "
            f"{max(numbers)} ({series.files_in_words}); all of a series were expected. Copy the "
            "whole series; if this is one echo or phase of several, convert it to NIfTI."
        )


def _check_shear(folder: Path, offsets: np.ndarray, normal: np.ndarray) -> None:
    """Refuse slices that move sideways from one to the next, as with a tilted gantry."""
    along = offsets @ normal
    sideways = np.linalg.norm(offsets - np.outer(along, normal), axis=1)
    if sideways.max() > TOLERANCE_MM:
        angle = np.degrees(np.arctan2(sideways[-1], along[-1]))
        raise InputError(
            f"{folder}: its slices are shifted sideways by up to {sideways.max():.1f} mm (a gantry "
            f"tilt of {angle:.1f} degrees?); at most {TOLERANCE_MM} mm was expected. Correct the "
            "tilt with a converter, which resamples the slices."
        )


@contextmanager
def _as_stored(slice_: Slice) -> Iterator[Path]:
    """A file of the slice whose values GDCM leaves as they are: it turns MONOCHROME1 around."""
    if slice_.photometric != INVERTED:
        yield slice_.path
        return
    dicom = import_extra("pydicom", "pydicom", slice_.path)
    dataset = dicom.dcmread(slice_.path, force=True)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "slice.dcm"
        dataset.save_as(path)
        yield path


def _voxels(slice_: Slice, expected: tuple[int, ...]) -> np.ndarray:
    sitk = import_extra("SimpleITK", "SimpleITK", slice_.path)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader: Any = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    found: tuple[int, ...] | str
    try:
        with _as_stored(slice_) as path:
            reader.SetFileName(str(path))
            array = np.asarray(sitk.GetArrayFromImage(reader.Execute()))
        found = array.shape[-2:]
    except RuntimeError:
        found = "none that can be read"
    if found == expected:
        return array.reshape(expected)
    raise InputError(
        f"{slice_.path}: the voxel data are truncated, damaged or compressed in an unknown way "
        f"({slice_.compression}); {by(expected)} voxels (y, x) were expected, found {found}. "
        "Copy or export the series again, uncompressed."
    )
