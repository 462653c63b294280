"""The one way in: volumes of every format, by the name of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from dvcl.errors import InputError, counted_are
from dvcl.volume.dicom import dicom_files, dicom_geometry, read_dicom
from dvcl.volume.dicom_seg import find_segmentation, read_segmentation, segment_names
from dvcl.volume.grid import Geometry, Volume
from dvcl.volume.itk import itk_files, itk_geometry, read_itk, read_itk_layers
from dvcl.volume.names import ITK_SUFFIXES, NRRD_SUFFIXES, check_presence, is_dicom_label
from dvcl.volume.nifti import nifti_geometry, read_nifti

# Labels may come back from a scaled header as 2.9998; further off than this is no label.
LABEL_TOLERANCE = 1e-3


def read_geometry(path: Path | str) -> Geometry:
    """Read shape and affine from the header alone.

    Raises:
        InputError: When the file is missing, empty, of no known format, not 3-D, or has no usable
            affine or scaling; for a DICOM folder also when its slices do not make one regular
            volume.
    """
    path = Path(path)
    check_presence(path)
    if path.is_dir():
        return dicom_geometry(path)
    _refuse_segmentation(path)
    return itk_geometry(path) if _is_itk(path) else nifti_geometry(path)


def read_volume(path: Path | str, dtype: np.typing.DTypeLike = np.float32) -> Volume:
    """Read a file or a DICOM folder as (D, H, W) in its own orientation, its scaling applied.

    Raises:
        InputError: As `read_geometry`, and when the voxel data are truncated or damaged.
    """
    array, geometry = _read(Path(path))
    # Numbers beyond the dtype become infinite, which the check of a data set reports.
    with np.errstate(over="ignore"):
        return _volume(np.ascontiguousarray(array, dtype=dtype), geometry)


def read_label_layers(path: Path | str) -> Iterator[Volume]:
    """Read the layers of a label map as `read_label` does; most files have one.

    A DICOM segmentation has a layer for every segment, on the grid that its slices span.

    Raises:
        InputError: As `read_label`.
    """
    path = Path(path)
    check_presence(path)
    if is_dicom_label(path) and (file := find_segmentation(path)):
        yield from read_segmentation(file, [*segment_names(file)])
    elif path.name.lower().endswith(NRRD_SUFFIXES):
        arrays, geometry = read_itk_layers(path)
        yield from (_label(array, geometry, path) for array in arrays)
    else:
        yield read_label(path)


def read_label(path: Path | str) -> Volume:
    """Read a label map as int32, or as the file's own narrower integers.

    Header round-off up to 0.001 is repaired.

    Raises:
        InputError: As `read_volume`, and when values are not integers or beyond int32, with an
            example.
    """
    return _label(*_read(Path(path)), Path(path))


def _label(array: np.ndarray, geometry: Geometry, path: Path) -> Volume:
    if not np.issubdtype(array.dtype, np.integer):
        array = _rounded(array, path)
    limits = np.iinfo(np.int32)
    for value in (array.min(), array.max()):
        if not limits.min <= value <= limits.max:
            raise InputError(
                f"{path}: holds the value {value:g}; label integers between {limits.min} and "
                f"{limits.max} were expected. Is it an image? Export the label map again."
            )
    is_narrow = array.dtype.kind in "iu" and array.dtype.itemsize < 4
    dtype = array.dtype.newbyteorder("=") if is_narrow else np.dtype(np.int32)
    return _volume(np.ascontiguousarray(array, dtype=dtype), geometry)


def source_files(path: Path | str) -> list[Path]:
    """The files that a volume consists of: one, a header and its data, or all DICOM slices.

    Raises:
        InputError: When they cannot be found.
    """
    path = Path(path)
    if is_dicom_label(path):
        return _dicom_sources(path)
    if _is_itk(path):
        return itk_files(path)
    if path.suffix.lower() == ".hdr":
        return [path, path.with_suffix(".img" if path.suffix == ".hdr" else ".IMG")]
    return [path]


def _dicom_sources(folder: Path) -> list[Path]:
    segmentation = find_segmentation(folder)
    if segmentation == folder:
        return [folder]
    if segmentation is None:
        return dicom_files(folder)
    with suppress(InputError):  # it may lie beside the slices that it was drawn on
        return [*dicom_files(folder), segmentation]
    return [segmentation]


def _read(path: Path) -> tuple[np.ndarray, Geometry]:
    """Voxels as (D, H, W), in the file's type or float64 where the header scales them."""
    check_presence(path)
    if path.is_dir():
        return read_dicom(path)
    _refuse_segmentation(path)
    return read_itk(path) if _is_itk(path) else read_nifti(path)


def _refuse_segmentation(path: Path) -> None:
    """It leaves slices without organs out, so that its grid is not that of a scan."""
    if is_dicom_label(path):
        raise InputError(
            f"{path}: is a DICOM segmentation; a scan, or a label map of all its slices, was "
            "expected there. Put it among the labels of its scan, or write masks as NIfTI."
        )


def _volume(array: np.ndarray, geometry: Geometry) -> Volume:
    return Volume(array, geometry.affine, geometry.forms, geometry.remarks)


def _is_itk(path: Path) -> bool:
    return path.name.lower().endswith(ITK_SUFFIXES)


def _rounded(array: np.ndarray, path: Path) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        rounded = np.rint(array)
        wrong = ~(np.abs(array - rounded) <= LABEL_TOLERANCE)
    if wrong.any():
        raise InputError(
            f"{path}: {counted_are(int(wrong.sum()), 'voxel')} not whole numbers, for example "
            f"{array[wrong][0]:g}; a label map holds integers. Is it an image or a "
            "probability map? Export the label map again without interpolation."
        )
    return rounded
