"""DICOM segmentations (extra ``formats``): one file whose frames are slices of named segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError
from dvcl.volume.dicom_start import dicom_start
from dvcl.volume.grid import Geometry, Volume
from dvcl.volume.itk import ras_affine
from dvcl.volume.names import files_below, import_dicom, import_extra, is_dicom, on_one_line

# What frames may be off from a regular grid, as rounding of the header's decimals makes it.
TOLERANCE_MM = 0.1


@dataclass(frozen=True)
class Frame:
    """One slice of one segment.

    Attributes:
        segment: Number of its segment.
        position: (3,) centre of its first voxel in DICOM's LPS world, in mm.
        axes: (3, 2) steps of one column and of one row, in mm.
        thickness_mm: From one slice to the next.
    """

    segment: int
    position: np.ndarray
    axes: np.ndarray
    thickness_mm: float


def find_segmentation(folder: Path) -> Path | None:
    """The one DICOM segmentation in a folder, or the file itself; None where there is none.

    Raises:
        InputError: When pydicom is not installed, or there are several.
    """
    if folder.is_file():
        return folder
    dicom = import_dicom(folder)
    found = []
    for path in filter(is_dicom, files_below(folder)):
        if dicom_start(path) != "damaged":
            tags = dicom.dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=["Modality"]
            )
            found += [path] if tags.get("Modality") == "SEG" else []
    if len(found) > 1:
        raise InputError(
            f"{folder}: holds {len(found)} DICOM segmentations ({found[0].name}, {found[1].name}); "
            "one was expected. Keep the one that is to be used."
        )
    return found[0] if found else None


def segment_names(path: Path) -> dict[int, str]:
    """{number of the segment: its label}, from the header.

    Raises:
        InputError: When the header is damaged.
    """
    dicom = import_extra("pydicom", "pydicom", path)
    try:
        header = dicom.dcmread(path, stop_before_pixels=True, force=True)
        return {int(s.SegmentNumber): str(s.SegmentLabel) for s in header.SegmentSequence}
    except (AttributeError, OSError, EOFError, ValueError, LookupError) as error:
        raise _damaged(path, error) from error


def read_segmentation(path: Path, numbers: list[int]) -> Iterator[Volume]:
    """One volume per segment, of 0 and its number, on the grid that all frames span.

    Args:
        path: Of the file.
        numbers: Of the segments, in the order of the volumes.

    Raises:
        InputError: When the header is damaged, voxels are not of one bit each and uncompressed, or
            the frames do not lie on a regular grid.
    """
    dicom = import_extra("pydicom", "pydicom", path)
    try:
        dataset = dicom.dcmread(path, force=True)
        _check_kind(path, dataset)
        frames = _frames(dataset)
        height, width = int(dataset.Rows), int(dataset.Columns)
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
        planes = bits[: len(frames) * height * width].reshape(len(frames), height, width)
    except (AttributeError, OSError, EOFError, ValueError, LookupError) as error:
        raise _damaged(path, error) from error
    affine, places = _grid(path, frames)
    for number in numbers:
        array = np.zeros((max(places) + 1, height, width), dtype=np.uint16)
        for frame, place, plane in zip(frames, places, planes, strict=True):
            if frame.segment == number:
                array[place] += plane * np.uint16(number)
        yield Volume(array, affine)


def placed_on(path: Path, part: Volume, grid: Geometry) -> Volume:
    """Put a label map that covers a part of a grid on the whole of it, the rest as background.

    Args:
        path: Named in the error.
        part: Its axes as those of ``grid``.
        grid: Of the image.

    Raises:
        InputError: When the voxels of the part are none of the grid.
    """
    first = np.linalg.solve(grid.affine, part.affine)[:3, 3]
    start = np.rint(first).astype(int)[::-1]
    box = tuple(slice(at, at + n) for at, n in zip(start.tolist(), part.shape, strict=True))
    whole = grid.affine.copy()
    whole[:3, 3] = (grid.affine @ [*start[::-1], 1])[:3]
    away_mm = part.geometry.corner_distance_mm(Geometry(part.shape, whole))
    fits = all(s.start >= 0 and s.stop <= n for s, n in zip(box, grid.shape, strict=True))
    if away_mm > TOLERANCE_MM or not fits:
        raise InputError(
            f"{path}: its voxels are not those of the image (corners {away_mm:.2f} mm away, slices "
            f"{start[0]} to {box[0].stop - 1} of {grid.shape[0]}); a segmentation of this image "
            "was expected. Check that both belong together, or resample it."
        )
    array = np.zeros(grid.shape, dtype=part.array.dtype)
    array[box] = part.array
    return Volume(array, grid.affine, grid.forms)


def _check_kind(path: Path, dataset: Any) -> None:
    kind = str(dataset.SegmentationType)
    if kind != "BINARY" or int(dataset.BitsAllocated) != 1 or dataset.file_meta.get(
        "TransferSyntaxUID"
    ).is_compressed:  # fmt: skip
        raise InputError(
            f"{path}: is a segmentation of the type {kind}, {dataset.BitsAllocated} bits a voxel, "
            "compressed or not; BINARY of 1 bit, uncompressed, was expected. Export it so, or as "
            "NIfTI."
        )


def _frames(dataset: Any) -> list[Frame]:
    shared = dataset.SharedFunctionalGroupsSequence[0]

    def part(frame: Any, name: str) -> Any:
        return getattr(frame if name in frame else shared, name)[0]

    frames = []
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        measures = part(frame, "PixelMeasuresSequence")
        down_mm, across_mm = (float(mm) for mm in measures.PixelSpacing)
        directions = part(frame, "PlaneOrientationSequence").ImageOrientationPatient
        axes = np.array(directions, dtype=np.float64).reshape(2, 3).T * (across_mm, down_mm)
        position = part(frame, "PlanePositionSequence").ImagePositionPatient
        thickness = measures.get("SpacingBetweenSlices") or measures.SliceThickness
        segment = part(frame, "SegmentIdentificationSequence").ReferencedSegmentNumber
        frames.append(
            Frame(int(segment), np.array(position, dtype=np.float64), axes, float(thickness))
        )
    return frames


def _grid(path: Path, frames: list[Frame]) -> tuple[np.ndarray, list[int]]:
    """The affine of the grid that all frames span, and the slice of each."""
    first = frames[0]
    normal = np.cross(first.axes[:, 0], first.axes[:, 1])
    normal /= np.linalg.norm(normal)
    positions = np.array([frame.position for frame in frames])
    along = positions @ normal
    places = np.rint((along - along.min()) / first.thickness_mm).astype(int)
    step = normal * first.thickness_mm
    origin = positions[along.argmin()]
    away = np.linalg.norm(positions - (origin + np.outer(places, step)), axis=1)
    turned = max(np.abs(frame.axes - first.axes).max() for frame in frames)
    if away.max() > TOLERANCE_MM or turned > TOLERANCE_MM:
        raise InputError(
            f"{path}: its frames lie up to {away.max():.2f} mm from slices that are "
            f"{first.thickness_mm:g} mm apart; at most {TOLERANCE_MM} mm was expected. Export the "
            "segmentation again."
        )
    return ras_affine(np.column_stack([first.axes, step]), origin), places.tolist()


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: the segmentation is damaged or incomplete ({on_one_line(error)}); a whole one "
        "was expected. Export it again."
    )
