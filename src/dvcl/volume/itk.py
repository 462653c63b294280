"""NRRD and MetaImage through SimpleITK (extra ``formats``), turned from its LPS world to RAS+."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError
from dvcl.volume.grid import Geometry, Volume, by, check_size, make_geometry
from dvcl.volume.names import import_extra, on_one_line

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
HEADER_BYTES = 2**20  # no header of these text formats is longer
BLOCK_BYTES = 2**20

# ITK takes the axes of any other space, of no meaning in a patient, for those of LPS.
NRRD_SPACES = {
    *("right-anterior-superior", "ras", "left-anterior-superior", "las"),
    *("left-posterior-superior", "lps"),
}


def itk_geometry(path: Path) -> Geometry:
    """Shape and affine, from the header alone.

    Raises:
        InputError: When SimpleITK is not installed, or the file is not of the format that its name
            says, not 3-D, or has no usable affine; and as `itk_files`.
    """
    _check_header(path, header_fields(path))
    itk_files(path)
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(
            f"{path}: cannot be read ({_reason(error)}). Convert or export the file again."
        ) from error
    size, channels = reader.GetSize(), reader.GetNumberOfComponents()
    if channels != 1 or "complex" in _kind(reader):
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
    geometry = itk_geometry(path)
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
    return array.reshape(geometry.shape), geometry


def write_itk(path: Path, volume: Volume) -> None:
    """Write .nrrd or .mha, compressed, on the same grid."""
    sitk = import_extra("SimpleITK", "SimpleITK", path)
    image = sitk.GetImageFromArray(volume.array)
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
    fields = header_fields(path)
    data = fields.get("elementdatafile", fields.get("data file", fields.get("datafile", "LOCAL")))
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


def header_fields(path: Path) -> dict[str, str]:
    """The text header of either format, keys in lower case; nothing where there is none."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while file.tell() < HEADER_BYTES and (line := file.readline(HEADER_BYTES).strip()):
            parts = re.split(r"\s*(?:=|:=|:)\s*", line.decode("utf-8", "replace"), maxsplit=1)
            fields[parts[0].casefold()] = parts[-1]
            if parts[0].casefold() == "elementdatafile":
                break
    return fields


def _check_header(path: Path, fields: dict[str, str]) -> None:
    """Refuse what ITK would pass over in silence: no voxel size, other units, other spaces."""
    is_nrrd = any(key.startswith("nrrd000") for key in fields)
    sizes = ("space directions", "spacings") if is_nrrd else ("elementspacing", "elementsize")
    if not is_nrrd and "ndims" not in fields:
        raise InputError(
            f"{path}: is neither NRRD nor MetaImage, whatever its name says. Convert or export "
            "the file again."
        )
    if not any(size in fields for size in sizes):
        raise InputError(
            f"{path}: the header gives no voxel spacing; {sizes[0]!r} was expected. Export the "
            "file again or correct its header."
        )
    units = set(re.findall(r'"(.*?)"', fields.get("space units", ""))) - {"mm", ""}
    if units:
        raise InputError(
            f"{path}: the header gives lengths in {', '.join(sorted(units))}; mm were expected. "
            "Convert the header or export the file again."
        )
    space = fields.get("space", "lps").casefold()
    if space not in NRRD_SPACES:
        raise InputError(
            f"{path}: the header's space is {space!r}; left-posterior-superior or "
            "right-anterior-superior was expected, which say how the patient lies. Export the file "
            "again or correct its header."
        )


def _check_compressed_data(path: Path) -> None:
    """Unpack a compressed MetaImage once: ITK says nothing when its checksum is wrong."""
    if header_fields(path).get("compresseddata", "").casefold() != "true":
        return
    file_with_data = itk_files(path)[-1]
    with file_with_data.open("rb") as file:
        if file_with_data == path:
            while not file.readline().lower().startswith(b"elementdatafile"):
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
