"""NIfTI in and out: NIfTI-1 and -2 in one file or as .hdr and .img, either byte order."""

from __future__ import annotations

import gzip
import logging
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Extension, Nifti1Header, Nifti1Image, Nifti1Pair
from nibabel.spatialimages import HeaderDataError

from dvcl.errors import InputError
from dvcl.volume.grid import Geometry, Volume, by, check_size, make_geometry
from dvcl.volume.names import on_one_line
from dvcl.volume.nifti_forms import NIFTI_CLASSES, QuaternionError, forms_of, put_forms

try:  # the extra "fast": unpacks in less than half of gzip's time
    from isal import igzip
except ImportError:
    igzip = None

FOREIGN_UNITS = {1: "metres", 3: "micrometres"}  # codes of the NIfTI field xyzt_units
BLOCK_BYTES = 2**20
SNIFFED_BYTES = 1024  # as many as nibabel looks at
GZIP_START = b"\x1f\x8b"
UNKNOWN_EXTENSION = 0  # the code under which TotalSegmentator writes its table of labels

# Its remarks on headers name no file; what is wrong with a file is said here.
nibabel.imageglobals.logger.setLevel(logging.CRITICAL)


def nifti_geometry(path: Path) -> Geometry:
    """Shape and affine, from the header alone.

    Raises:
        InputError: When the file is not NIfTI, not 3-D, or has no usable affine or scaling.
    """
    return _geometry(open_nifti(path), path)


def read_nifti(path: Path) -> tuple[np.ndarray, Geometry]:
    """Voxels as (D, H, W), in the file's type or float64 where the header scales them.

    Raises:
        InputError: As `nifti_geometry`, and when the voxel data are truncated or damaged.
    """
    image = open_nifti(path)
    geometry = _geometry(image, path)
    try:
        array = _read_to_the_end(image)
    except (EOFError, OSError, OverflowError, MemoryError, zlib.error, ValueError) as error:
        raise InputError(
            f"{path}: the voxel data are truncated, damaged or too large ({on_one_line(error)}); "
            f"{by(geometry.shape)} voxels (z, y, x) were expected from the header. "
            "Copy or export the file again."
        ) from error
    return array.reshape(array.shape[:3]).T, geometry


def _read_to_the_end(image: Nifti1Pair) -> np.ndarray:
    """Voxels with the header's scaling; reading past them makes gzip compare its checksum."""
    holder = image.file_map["image"]
    if igzip is not None and str(holder.filename).lower().endswith(".gz"):
        # Whatever is wrong with a file, gzip says below, in the same words as without isal.
        with suppress(Exception), igzip.IGzipFile(holder.filename) as file:
            return _read_voxels(image, file)
    with holder.get_prepare_fileobj("rb") as file:
        return _read_voxels(image, file)


def _read_voxels(image: Nifti1Pair, file: Any) -> np.ndarray:
    stored = cast(ArrayProxy, image.dataobj)
    layout = (stored.shape, stored.dtype, stored.offset, stored.slope, stored.inter)
    # Without mapping: a preloaded data set would hold every uncompressed file open.
    array = np.asanyarray(ArrayProxy(file, layout, mmap=False))
    while file.read(BLOCK_BYTES):
        pass
    return array


def open_nifti(path: Path) -> Nifti1Pair:
    """Open a file without reading its voxels.

    Raises:
        InputError: When it is not NIfTI, or its qform, where that alone counts, is no rotation.
    """
    try:
        image = _load(path)
    except QuaternionError as error:
        raise InputError(
            f"{path}: {error}. Correct the header or export the file again."
        ) from error
    except (ImageFileError, HeaderDataError, EOFError, OSError, zlib.error, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as NIfTI ({on_one_line(error)}); {_first_bytes(path)}. "
            "Expected a .nii or .nii.gz volume: convert or export the file again."
        ) from error
    if not isinstance(image, Nifti1Pair):
        raise InputError(
            f"{path}: is a {type(image).__name__}; a NIfTI volume was expected, which also says "
            "left from right. Convert or export the file again."
        )
    return image


def _load(path: Path) -> Any:
    sniffed = None
    for image_class in NIFTI_CLASSES:
        is_of_class, sniffed = image_class.path_maybe_image(path, sniffed)
        if is_of_class:
            return image_class.from_filename(path)
    return nibabel.load(path)  # says what it is instead


def _geometry(image: Nifti1Pair, path: Path) -> Geometry:
    if np.issubdtype(image.get_data_dtype(), np.complexfloating) or image.get_data_dtype().fields:
        raise InputError(
            f"{path}: voxels are of type {image.get_data_dtype()}; one real number per voxel was "
            "expected. Export a single-channel volume."
        )
    check_size(path, image.shape)
    header = _header_as_it_stands(image)
    _check_header(header, path)
    geometry = make_geometry(path, image.shape, np.asarray(image.affine, dtype=np.float64))
    return replace(geometry, forms=forms_of(header))


def _header_as_it_stands(image: Nifti1Pair) -> Nifti1Header:
    """Without what nibabel repairs in silence."""
    files = image.file_map
    with files.get("header", files["image"]).get_prepare_fileobj("rb") as file:
        return cast(Nifti1Header, image.header_class.from_fileobj(file, check=False))


def _check_header(header: Nifti1Header, path: Path) -> None:
    """Refuse what nibabel would pass over: pixdim <= 0, other units than mm, endless scaling."""
    pixdim = header["pixdim"][1:4].tolist()
    if header["sform_code"] <= 0 and not min(pixdim) > 0:
        raise InputError(
            f"{path}: the header's pixdim is {pixdim} mm and it has no sform; positive numbers "
            "were expected. Export the file again or correct its header."
        )
    unit = FOREIGN_UNITS.get(int(header["xyzt_units"]) & 7)
    if unit:
        raise InputError(
            f"{path}: the header gives lengths in {unit}; millimetres were expected. "
            "Convert the header or export the file again."
        )
    if np.isinf(header["scl_slope"]):
        raise InputError(
            f"{path}: the header's scl_slope is {header['scl_slope']}; a finite number was "
            "expected, by which stored values are multiplied. Export the file again."
        )


def _first_bytes(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(12)
        if not start.startswith(GZIP_START):
            return f"it starts with {start!r}"
        if not path.name.lower().endswith(".gz"):
            return "it is compressed, so its name should end in .nii.gz"
        with gzip.open(path) as file:
            return f"unpacked, it starts with {file.read(SNIFFED_BYTES)[:12]!r}"
    except (EOFError, zlib.error):
        return "its gzip data end early or are damaged"
    except OSError as error:
        return f"{error.strerror}"


def write_nifti(path: Path, volume: Volume, table: bytes = b"") -> None:
    """Write the array in its own dtype, with the volume's forms; else the affine as sform.

    Args:
        path: The file.
        volume: What it holds.
        table: Names of its integers, as an extension of the header.
    """
    header = Nifti1Header()
    header.set_xyzt_units("mm")
    if volume.forms is not None:
        put_forms(volume.forms, header)
    affine = volume.affine if volume.forms is None else None
    header.set_data_dtype(volume.array.dtype)
    image = Nifti1Image(volume.array.T, affine, header)
    if table:
        image.header.extensions.append(Nifti1Extension(UNKNOWN_EXTENSION, table))
    nibabel.save(image, path)
