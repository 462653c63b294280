"""NIfTI in and out: NIfTI-1 and -2 in one file or as .hdr and .img, either byte order."""

from __future__ import annotations

import gzip
import logging
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Pair
from nibabel.spatialimages import HeaderDataError

from dvcl.errors import InputError
from dvcl.volume.grid import Geometry, Volume, by, check_size, make_geometry
from dvcl.volume.names import on_one_line

try:  # the extra "fast": unpacks in less than half of gzip's time
    from isal import igzip
except ImportError:
    igzip = None

FOREIGN_UNITS = {1: "metres", 3: "micrometres"}  # codes of the NIfTI field xyzt_units
BLOCK_BYTES = 2**20
SNIFFED_BYTES = 1024  # as many as nibabel looks at
GZIP_START = b"\x1f\x8b"

# Its remarks on headers name no file; what is wrong with a file is said here.
nibabel.imageglobals.logger.setLevel(logging.CRITICAL)


def nifti_geometry(path: Path) -> Geometry:
    """Shape and affine, from the header alone.

    Raises:
        InputError: When the file is not NIfTI, not 3-D, or has no usable affine.
    """
    return _geometry(_open(path), path)


def read_nifti(path: Path) -> tuple[np.ndarray, Geometry]:
    """Voxels as (D, H, W), in the file's type or float64 where the header scales them.

    Raises:
        InputError: As `nifti_geometry`, and when the voxel data are truncated or damaged.
    """
    image = _open(path)
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


def _open(path: Path) -> Nifti1Pair:
    try:
        image = nibabel.load(path)
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


def _geometry(image: Nifti1Pair, path: Path) -> Geometry:
    if np.issubdtype(image.get_data_dtype(), np.complexfloating) or image.get_data_dtype().fields:
        raise InputError(
            f"{path}: voxels are of type {image.get_data_dtype()}; one real number per voxel was "
            "expected. Export a single-channel volume."
        )
    check_size(path, image.shape)
    _check_spacing_and_units(image, path)
    return make_geometry(path, image.shape, np.asarray(image.affine, dtype=np.float64))


def _check_spacing_and_units(image: Nifti1Pair, path: Path) -> None:
    """Refuse what nibabel would repair in silence: pixdim <= 0, and units other than mm."""
    files = image.file_map
    with files.get("header", files["image"]).get_prepare_fileobj("rb") as file:
        header = image.header_class.from_fileobj(file, check=False)
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


def write_nifti(path: Path, volume: Volume) -> None:
    """Write the array in its own dtype, with the affine as sform and qform."""
    image = nibabel.Nifti1Image(volume.array.T, volume.affine, dtype=volume.array.dtype)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
