"""NRRD and MetaImage through SimpleITK (extra ``formats``), turned from its LPS world to RAS+."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError
from dvcl.volume.grid import Geometry, Volume, by, check_size, make_geometry
from dvcl.volume.itk_header import check_header, read_header
from dvcl.volume.names import import_extra, on_one_line

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
BLOCK_BYTES = 2**20


def itk_geometry(path: Path, has_layers: bool = False) -> Geometry:
    """Shape and affine, from the header alone; with ``has_layers`` voxels may hold several numbers.

    Raises:
        InputError: When SimpleITK is not installed, or the file is not of the format that its name
            says, not 3-D, or has no usable affine; and as `itk_files`.
    """
    check_header(path, read_header(path))
    itk_files(path)
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(
            f"{path}: cannot be read ({_reason(error)}). Convert or export the file again."
        ) from error
    size, channels = reader.GetSize(), reader.GetNumberOfComponents()
    if (channels != 1 and not has_layers) or "complex" in _kind(reader):
        raise InputError(
            f"{path}: has {channels} numbers per voxel ({_kind(reader)}); one real number per "
            "voxel was expected. Export a single-channel volume."
        )
    check_size(path, size)
    direction = np.array(reader.GetDirection()).reshape(len(size), len(size))[:3, :3]
    return make_geometry(
        path, size, ras_affine(direction * reader.GetSpacing()[:3], reader.GetOrigin()[:3])
    )


def read_itk(path: Path) -> tuple[np.ndarray, Geometry]:
    """Voxels as (D, H, W) in the file's type.

    Raises:
        InputError: As `itk_geometry`, and when the voxel data are truncated or damaged.
    """
    array, geometry = _read(path, itk_geometry(path))
    return array.reshape(geometry.shape), geometry


def read_itk_layers(path: Path) -> tuple[np.ndarray, Geometry]:
    """The same of a file with several numbers per voxel: (layers, D, H, W).

    Raises:
        InputError: As `itk_geometry`, and when the voxel data are truncated or damaged.
    """
    array, geometry = _read(path, itk_geometry(path, has_layers=True))
    return np.moveaxis(array.reshape(*geometry.shape, -1), -1, 0), geometry


def _read(path: Path, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    try:
        _check_compressed_data(path)
        image = _reader(path).Execute()
    except (RuntimeError, OSError, zlib.error) as error:
        raise InputError(
            f"{path}: the voxel data are truncated, damaged or too large ({_reason(error)}); "
            f"{by(geometry.shape)} voxels (z, y, x) were expected from the header. "
            "Copy or export the file again."
        ) from error
    array = import_extra("SimpleITK", "SimpleITK", path).GetArrayFromImage(image)
    return array, geometry


def write_itk(path: Path, volume: Volume, fields: Mapping[str, str] | None = None) -> None:
    """Write .nrrd or .mha, compressed, on the same grid; with further fields in the header."""
    sitk = import_extra("SimpleITK", "SimpleITK", path)
    image = sitk.GetImageFromArray(volume.array)
    for key, value in (fields or {}).items():
        image.SetMetaData(key, value)
    affine = LPS_TO_RAS @ volume.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


def itk_files(path: Path) -> list[Path]:
    """The file itself and, where the voxels lie in another one, that as well.

    Raises:
        InputError: When they are spread over several files, or missing.
    """
    data = read_header(path).data_file
    if data.upper() == "LOCAL":
        return [path]
    if data.upper().startswith("LIST") or "%" in data:
        raise InputError(
            f"{path}: its voxels lie in several files ({data}); one file was expected. Convert the "
            "volume to a single .nrrd, .mha or .nii.gz file."
        )
    if not (path.parent / data).is_file():
        raise InputError(
            f"{path}: its voxels are in {path.parent / data}, which is no file. Copy both files, "
            "keeping their names."
        )
    return [path, path.parent / data]


def ras_affine(axes: np.ndarray, origin: Sequence[float]) -> np.ndarray:
    """Affine of RAS+ from the vectors of one voxel step (columns) and an origin, both LPS in mm."""
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, origin
    return LPS_TO_RAS @ affine


def _check_compressed_data(path: Path) -> None:
    """Unpack a compressed MetaImage once: ITK says nothing when its checksum is wrong."""
    if not read_header(path).is_zipped_meta:
        return
    file_with_data = itk_files(path)[-1]
    with file_with_data.open("rb") as file:
        if file_with_data == path:
            while not file.readline().startswith(b"ElementDataFile"):
                pass
        unpacking = zlib.decompressobj()
        while block := file.read(BLOCK_BYTES):
            unpacking.decompress(block)
    if not unpacking.eof:
        raise zlib.error("the compressed data end early")


def _reader(path: Path) -> Any:
    sitk = import_extra("SimpleITK", "SimpleITK", path)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    is_meta = path.suffix.lower() in (".mha", ".mhd")
    reader.SetImageIO("MetaImageIO" if is_meta else "NrrdImageIO")
    return reader


def _kind(reader: Any) -> str:
    sitk = import_extra("SimpleITK", "SimpleITK", Path(reader.GetFileName()))
    return str(sitk.GetPixelIDValueAsString(reader.GetPixelID()))


def _reason(error: Exception) -> str:
    """The last line of ITK's account, which alone says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else on_one_line(error)
