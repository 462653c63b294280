"""Names of volumes, what belongs to them on disk, and the libraries that some formats need."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvcl.errors import InputError
from dvcl.volume.dicom_start import dicom_start

NIFTI_SUFFIXES = (".nii.gz", ".nii", ".hdr")
# 3D Slicer calls its label maps X.seg.nrrd.
NRRD_SUFFIXES = (".seg.nrrd", ".nrrd", ".nhdr")
ITK_SUFFIXES = (*NRRD_SUFFIXES, ".mha", ".mhd")
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *ITK_SUFFIXES)
DICOM_SUFFIXES = (".dcm", ".ima")
SEGMENTATION_SUFFIX, STRUCTURES_SUFFIX = ".seg.dcm", ".rtstruct.dcm"

# The forms of masks, by the names that people choose them by; "own" is that of the scan.
MASK_SUFFIXES = {
    "nifti": ".nii.gz",
    "own": "",
    "seg.nrrd": ".seg.nrrd",
    "dicom-seg": SEGMENTATION_SUFFIX,
    "rtstruct": STRUCTURES_SUFFIX,
}


def is_volume(path: Path) -> bool:
    """Whether this is a volume we read: a file by its name, or a folder with DICOM slices.

    Hidden files and folders are not.
    """
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return holds_dicom(path)
    return path.name.lower().endswith((*VOLUME_SUFFIXES, SEGMENTATION_SUFFIX))


def volume_stem(path: Path | str) -> str:
    """File name without its volume suffix: "hn.059" for "hn.059.nii.gz"; the name of a folder."""
    path = Path(path)
    for suffix in (*VOLUME_SUFFIXES, SEGMENTATION_SUFFIX, STRUCTURES_SUFFIX):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return (path.name or path.resolve().name) if path.is_dir() else path.stem


def mask_suffix(scan: Path, form: str) -> str:
    """Suffix of a scan's mask in one of `MASK_SUFFIXES`; "own" is NIfTI but of NRRD and MHA."""
    own = {".nrrd": ".nrrd", ".nhdr": ".nrrd", ".mha": ".mha", ".mhd": ".mha"}
    return MASK_SUFFIXES[form] or own.get(scan.suffix.lower(), MASK_SUFFIXES["nifti"])


def is_dicom_label(path: Path) -> bool:
    """Whether a label map is DICOM: a folder, or a segmentation in a file of its own."""
    return path.is_dir() or path.name.lower().endswith(SEGMENTATION_SUFFIX)


def holds_dicom(folder: Path) -> bool:
    """Whether some file in a folder, or in a folder inside it, is DICOM."""
    return any(is_dicom(path) for path in files_below(folder))


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content; names do not tell."""
    if path.name.lower().endswith(VOLUME_SUFFIXES) or not path.is_file():
        return False
    return dicom_start(path) is not None


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and the folders inside it, sorted, without hidden ones."""
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def check_presence(path: Path) -> None:
    """Refuse what is not there, and files without content."""
    expected = f"a volume ({', '.join(VOLUME_SUFFIXES)} or a folder of DICOM slices) was expected"
    if not path.exists():
        raise InputError(f"{path}: no such file; {expected}.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes). Copy or export it again.")


def import_extra(module: str, library: str, path: Path) -> Any:
    """Import a library that only some formats need.

    Raises:
        InputError: When it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{path}: this format needs {library}, which is not installed. Run `pip install "
            "SimpleITK pydicom highdicom`, or convert the volume to NIfTI."
        ) from error


def import_dicom(folder: Path) -> Any:
    """Import pydicom for the files in a folder; None where none of them is DICOM and needs it.

    Raises:
        InputError: As `import_extra`.
    """
    return import_extra("pydicom", "pydicom", folder) if holds_dicom(folder) else None


def on_one_line(error: Exception) -> str:
    """What an error says, or its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
