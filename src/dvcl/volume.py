"""Volumes and their geometry: NIfTI in and out, with errors that say what is wrong."""

from __future__ import annotations

import gzip
import itertools
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Image
from nibabel.spatialimages import HeaderDataError

from dvcl.errors import InputError
from dvcl.files import write_atomically

VOLUME_SUFFIXES = (".nii.gz", ".nii")

# Labels may come back from a scaled header as 2.9998; further off than this is no label.
LABEL_TOLERANCE = 1e-3

# Voxels are millimetres apart; a header that says otherwise is wrong, or means another unit.
LEAST_SPACING_MM, GREATEST_SPACING_MM = 1e-3, 1e3

FOREIGN_UNITS = {1: "metres", 3: "micrometres"}  # codes of the NIfTI field xyzt_units
BLOCK_BYTES = 2**20
SNIFFED_BYTES = 1024  # as many as nibabel looks at
GZIP_START = b"\x1f\x8b"

# Its remarks on headers name no file; what is wrong with a file is said here.
nibabel.imageglobals.logger.setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Geometry:
    """Where a voxel grid lies in the patient.

    Attributes:
        shape: Voxels along (D, H, W) = (z, y, x).
        affine: (4, 4) float64, maps the voxel index (x, y, z) to world millimetres, RAS+, as NIfTI.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (z, y, x), in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def orientation(self) -> str:
        """Axis codes of (x, y, z), each naming the direction in which the index grows: "LPI"."""
        return "".join(nibabel.aff2axcodes(self.affine))

    def corner_distance_mm(self, other: Geometry) -> float:
        """Largest distance in mm between the same corner voxel of both grids (of equal shape)."""
        depth, height, width = (size - 1 for size in self.shape)
        corners = np.array(list(itertools.product((0, width), (0, height), (0, depth))))
        difference = self.affine - other.affine
        offsets = corners @ difference[:3, :3].T + difference[:3, 3]
        return float(np.linalg.norm(offsets, axis=1).max())


@dataclass(frozen=True)
class Volume:
    """A 3-D array and the place of its voxels.

    Attributes:
        array: (D, H, W) = (z, y, x).
        affine: As in `Geometry`.
    """

    array: np.ndarray
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (D, H, W)."""
        depth, height, width = self.array.shape
        return depth, height, width

    @property
    def geometry(self) -> Geometry:
        """The grid without the values."""
        return Geometry(self.shape, self.affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (z, y, x), in mm."""
        return self.geometry.spacing_mm


def is_volume(path: Path) -> bool:
    """Whether the file name is that of a volume we read; hidden files are not."""
    return path.name.lower().endswith(VOLUME_SUFFIXES) and not path.name.startswith(".")


def volume_stem(path: Path | str) -> str:
    """File name without its volume suffix: "hn.059" for "hn.059.nii.gz"."""
    name = Path(path).name
    for suffix in VOLUME_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return Path(name).stem


def read_geometry(path: Path | str) -> Geometry:
    """Read shape and affine from the header alone.

    Raises:
        InputError: When the file is missing, empty, not NIfTI, not 3-D, or has no usable affine.
    """
    return _geometry(_open(Path(path)), Path(path))


def read_volume(path: Path | str, dtype: np.typing.DTypeLike = np.float32) -> Volume:
    """Read a NIfTI file as (D, H, W) in its own orientation, with its header's scaling applied.

    Raises:
        InputError: As `read_geometry`, and when the voxel data are truncated or damaged.
    """
    array, geometry = _read(Path(path))
    # Numbers beyond the dtype become infinite, which the check of a data set reports.
    with np.errstate(over="ignore"):
        return Volume(np.ascontiguousarray(array, dtype=dtype), geometry.affine)


def read_label(path: Path | str) -> Volume:
    """Read a label map as int32; header round-off up to 0.001 is repaired.

    Raises:
        InputError: As `read_volume`, and when values are not integers or beyond int32, with an
            example.
    """
    array, geometry = _read(Path(path))
    if not np.issubdtype(array.dtype, np.integer):
        array = _rounded(array, Path(path))
    limits = np.iinfo(np.int32)
    for value in (array.min(), array.max()):
        if not limits.min <= value <= limits.max:
            raise InputError(
                f"{path}: holds the value {value:g}; label integers between {limits.min} and "
                f"{limits.max} were expected. Is it an image? Export the label map again."
            )
    return Volume(np.ascontiguousarray(array, dtype=np.int32), geometry.affine)


def _rounded(array: np.ndarray, path: Path) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        rounded = np.rint(array)
        wrong = ~(np.abs(array - rounded) <= LABEL_TOLERANCE)
    if wrong.any():
        raise InputError(
            f"{path}: {int(wrong.sum())} voxels are not whole numbers, for example "
            f"{array[wrong][0]:g}; a label map holds integers. Is it an image or a "
            "probability map? Export the label map again without interpolation."
        )
    return rounded


def write_volume(path: Path | str, volume: Volume) -> None:
    """Write NIfTI atomically in the array's own dtype, with the affine as sform and qform."""
    image = nibabel.Nifti1Image(volume.array.T, volume.affine, dtype=volume.array.dtype)
    image.header.set_xyzt_units("mm")
    with write_atomically(path) as temporary:
        nibabel.save(image, temporary)


def _read(path: Path) -> tuple[np.ndarray, Geometry]:
    """Voxels as (D, H, W), in the file's type or float64 where the header scales them."""
    image = _open(path)
    geometry = _geometry(image, path)
    try:
        array = _read_to_the_end(image)
    except (EOFError, OSError, OverflowError, MemoryError, zlib.error, ValueError) as error:
        raise InputError(
            f"{path}: the voxel data are truncated, damaged or too large ({_on_one_line(error)}); "
            f"{_size(geometry.shape)} voxels (z, y, x) were expected from the header. "
            "Copy or export the file again."
        ) from error
    return array.reshape(array.shape[:3]).T, geometry


def _read_to_the_end(image: Nifti1Image) -> np.ndarray:
    """Voxels with the header's scaling; reading past them makes gzip compare its checksum."""
    stored = cast(ArrayProxy, image.dataobj)
    layout = (stored.shape, stored.dtype, stored.offset, stored.slope, stored.inter)
    with image.file_map["image"].get_prepare_fileobj("rb") as file:
        # Without mapping: a preloaded data set would hold every uncompressed file open.
        array = np.asanyarray(ArrayProxy(file, layout, mmap=False))
        while file.read(BLOCK_BYTES):
            pass
    return array


def _open(path: Path) -> Nifti1Image:
    if not path.exists():
        raise InputError(f"{path}: no such file; a NIfTI volume (.nii or .nii.gz) was expected.")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; a NIfTI volume (.nii or .nii.gz) was expected.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes). Copy or export it again.")
    try:
        image = nibabel.load(path)
    except (ImageFileError, HeaderDataError, EOFError, OSError, zlib.error, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as NIfTI ({_on_one_line(error)}); {_first_bytes(path)}. "
            "Expected a .nii or .nii.gz volume: convert or export the file again."
        ) from error
    if not isinstance(image, Nifti1Image):
        raise InputError(f"{path}: is a {type(image).__name__}; a NIfTI volume was expected.")
    return image


def _geometry(image: Nifti1Image, path: Path) -> Geometry:
    if np.issubdtype(image.get_data_dtype(), np.complexfloating) or image.get_data_dtype().fields:
        raise InputError(
            f"{path}: voxels are of type {image.get_data_dtype()}; one real number per voxel was "
            "expected. Export a single-channel volume."
        )
    shape = image.shape
    if len(shape) < 3 or any(size != 1 for size in shape[3:]) or min(shape[:3]) < 2:
        raise InputError(
            f"{path}: has the size {_size(shape)}; a single 3-D volume with at least 2 voxels "
            "along each axis was expected. Export one volume per file, without time points."
        )
    _check_spacing_and_units(image, path)
    affine = np.asarray(image.affine, dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    is_plausible = (spacing >= LEAST_SPACING_MM) & (spacing <= GREATEST_SPACING_MM)
    if not np.isfinite(affine).all() or not is_plausible.all():
        raise InputError(
            f"{path}: the header gives no usable voxel spacing ({spacing.tolist()} mm); numbers "
            f"from {LEAST_SPACING_MM:g} to {GREATEST_SPACING_MM:g} were expected. Export the file "
            "again or correct its header."
        )
    if abs(np.linalg.det(affine[:3, :3])) < 1e-6 * np.prod(spacing):
        raise InputError(
            f"{path}: the header's affine is singular (its axes do not span space):\n{affine}\n"
            "Export the file again or correct its header."
        )
    width, height, depth = shape[:3]
    return Geometry((depth, height, width), affine)


def _check_spacing_and_units(image: Nifti1Image, path: Path) -> None:
    """Refuse what nibabel would repair in silence: pixdim <= 0, and units other than mm."""
    with image.file_map["image"].get_prepare_fileobj("rb") as file:
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


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


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
