"""How a DICOM file begins: with 128 bytes and a mark, without them, or damaged."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

MARK_AT, MARK = 128, b"DICM"
SNIFFED_BYTES = 4096
# The groups that a file can begin with: about the file, and about what is in it.
FILE_GROUP, IDENTIFYING_GROUP = 2, 8
FIRST_ELEMENT = struct.pack("<HH2s", FILE_GROUP, 0, b"UL")
SHORT_KINDS = {b"UL", b"CS", b"DA", b"TM", b"UI", b"IS", b"LO", b"SH", b"PN", b"DT"}
LONG_KINDS = {b"OB", b"SQ", b"UN"}

DicomStart = Literal["marked", "bare", "damaged"]


def dicom_start(path: Path) -> DicomStart | None:
    """Tell DICOM files from others by their first bytes.

    Returns:
        "marked" as the standard has it; "bare" where the file begins with the first element, as
        old scanners and some exports have it; "damaged" where the mark alone is missing; None for
        what is no DICOM.
    """
    with path.open("rb") as file:
        start = file.read(SNIFFED_BYTES)
    if start[MARK_AT : MARK_AT + len(MARK)] == MARK:
        return "marked"
    if _begins_with_elements(start):
        return "bare"
    is_damaged = any(start[at:].startswith(FIRST_ELEMENT) for at in (MARK_AT, MARK_AT + len(MARK)))
    return "damaged" if is_damaged else None


def _begins_with_elements(start: bytes) -> bool:
    """Whether two elements in ascending order come first."""
    second = _end_of_element(start, 0)
    if second is None or _end_of_element(start, second) is None:
        return False
    return _tag(start, 0) < _tag(start, second)


def _tag(start: bytes, at: int) -> tuple[int, int]:
    group, element = struct.unpack_from("<HH", start, at)
    return group, element


def _end_of_element(start: bytes, at: int) -> int | None:
    """Where an element of one of the first groups ends; None where there is none, or none whole."""
    if len(start) < at + 12 or _tag(start, at)[0] not in (FILE_GROUP, IDENTIFYING_GROUP):
        return None
    kind = start[at + 4 : at + 6]
    if kind in LONG_KINDS:
        head, (length,) = 12, struct.unpack_from("<I", start, at + 8)
    elif kind in SHORT_KINDS:
        head, (length,) = 8, struct.unpack_from("<H", start, at + 6)
    else:  # without the kind, as in the oldest of its encodings
        head, (length,) = 8, struct.unpack_from("<I", start, at + 4)
    end = at + head + int(length)
    return end if end % 2 == 0 and end <= len(start) else None
