"""Label maps that name their regions: of 3D Slicer, tables in NIfTI files, and DICOM's own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from dvcl.errors import InputError
from dvcl.volume.dicom_seg import find_segmentation, segment_names
from dvcl.volume.itk_header import read_header
from dvcl.volume.names import NIFTI_SUFFIXES, NRRD_SUFFIXES, check_presence, is_dicom_label
from dvcl.volume.nifti import open_nifti
from dvcl.volume.segment import Segment


def read_segments(path: Path) -> tuple[Segment, ...]:
    """The regions that a label map names, from its header alone; nothing where it names none.

    Raises:
        InputError: When one value has two names, a value is no integer, or the file cannot be read.
    """
    check_presence(path)
    name = path.name.lower()
    if is_dicom_label(path):
        return _checked(path, _dicom_segments(path))
    if name.endswith(NRRD_SUFFIXES):
        return _checked(path, _slicer_segments(path))
    if name.endswith(NIFTI_SUFFIXES):
        return _checked(path, _table_of_nifti(path))
    return ()


def _dicom_segments(folder: Path) -> Iterator[Segment]:
    file = find_segmentation(folder)
    names = segment_names(file) if file else {}
    for layer, (number, name) in enumerate(names.items()):
        yield Segment(name, number, layer)


def _slicer_segments(path: Path) -> Iterator[Segment]:
    """Fields Segment0_Name, Segment0_LabelValue and Segment0_Layer of 3D Slicer.

    Before version 4.11 it wrote names alone, with the value 1 and a layer for every segment.
    """
    pairs = read_header(path).pairs
    numbers = (re.fullmatch(r"Segment(\d+)_Name", key) for key in pairs)
    for number in sorted(int(match[1]) for match in numbers if match):
        known = f"Segment{number}_LabelValue" in pairs
        value = _integer(path, pairs, f"Segment{number}_LabelValue", 1)
        layer = _integer(path, pairs, f"Segment{number}_Layer", 0 if known else number)
        yield Segment(pairs[f"Segment{number}_Name"], value, layer)


def _integer(path: Path, pairs: dict[str, str], key: str, default: int) -> int:
    text = pairs.get(key, str(default))
    if re.fullmatch(r"-?\d{1,9}", text):
        return int(text)
    raise InputError(
        f"{path}: the header's {key} is {text[:40]!r}; an integer was expected. Save the "
        "segmentation again."
    )


def _table_of_nifti(path: Path) -> Iterator[Segment]:
    """A label table in the form of Caret's header extension, as TotalSegmentator writes it."""
    for extension in open_nifti(path).header.extensions:
        text = extension.content
        if b"<LabelTable>" not in text:
            continue
        try:
            labels = ET.fromstring(text.strip(b"\0 \t\r\n")).iter("Label")
        except (ET.ParseError, ValueError, LookupError) as error:
            raise InputError(
                f"{path}: the label table in its header is damaged ({error}); XML was expected. "
                "Save the label map again."
            ) from error
        for label in labels:
            pairs = {"Key": label.get("Key", "")}
            yield Segment((label.text or "").strip(), _integer(path, pairs, "Key", 0))


def _checked(path: Path, segments: Iterator[Segment]) -> tuple[Segment, ...]:
    found: dict[tuple[int, int], Segment] = {}
    for segment in segments:
        other = found.setdefault((segment.layer, segment.value), segment)
        if other.name != segment.name:
            raise InputError(
                f"{path}: its value {segment.value} is named both {other.name!r} and "
                f"{segment.name!r}; one name per value was expected. Save the label map again."
            )
    return tuple(segment for segment in found.values() if segment.value != 0)
