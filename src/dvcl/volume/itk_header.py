"""The text in front of NRRD and MetaImage files: read as ITK reads it, and what it passes over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dvcl.errors import InputError

HEADER_BYTES = 2**20  # no header of these text formats is longer

# ITK takes the axes of any other space, of no meaning in a patient, for those of LPS.
NRRD_SPACES = {
    *("right-anterior-superior", "ras", "left-anterior-superior", "las"),
    *("left-posterior-superior", "lps"),
}
# What places and unpacks the voxels of a MetaImage; ITK passes over any other spelling.
META_FIELDS = (
    *("NDims", "DimSize", "ElementSpacing", "ElementSize", "ElementType"),
    *("Offset", "Position", "Origin", "TransformMatrix", "Rotation", "Orientation"),
    *("CenterOfRotation", "AnatomicalOrientation", "DistanceUnits", "HeaderSize"),
    *("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "ElementNumberOfChannels"),
    *("CompressedData", "CompressedDataSize", "ElementDataFile"),
)
META_UNITS = {"mm", "?", ""}
UNREAD_ENCODINGS = ("bzip2", "bz2")


@dataclass(frozen=True)
class TextHeader:
    """The header of either format.

    Attributes:
        is_nrrd: Else it is a MetaImage, or neither.
        fields: Of NRRD, whose case does not count, in lower case; of MetaImage as they are spelt.
        pairs: Further keys and values, which NRRD marks by ":=" and MetaImage does not mark.
    """

    is_nrrd: bool
    fields: dict[str, str]
    pairs: dict[str, str]

    @property
    def data_file(self) -> str:
        """Where the voxels are; "LOCAL" behind the header itself."""
        names = ("data file", "datafile") if self.is_nrrd else ("ElementDataFile",)
        return next((self.fields[name] for name in names if name in self.fields), "LOCAL")

    @property
    def is_zipped_meta(self) -> bool:
        """Whether this is a MetaImage with compressed voxels; written as text they never are."""
        values = [self.fields.get(name, "") for name in ("CompressedData", "BinaryData")]
        return values[0].casefold() == "true" and values[1].casefold() != "false"


def read_header(path: Path) -> TextHeader:
    """The header of either format; nothing where there is none."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    with path.open("rb") as file:
        is_nrrd = file.readline(HEADER_BYTES).startswith(b"NRRD000")
        if not is_nrrd:
            file.seek(0)
        while file.tell() < HEADER_BYTES and (line := file.readline(HEADER_BYTES).strip()):
            text = line.decode("utf-8", "replace")
            separator = re.search(r":=|:\s" if is_nrrd else "=", text)
            if text.startswith("#") or separator is None:
                continue
            key, value = text[: separator.start()].strip(), text[separator.end() :].strip()
            if separator.group() == ":=":
                pairs[key] = value
            else:
                fields[key.casefold() if is_nrrd else key] = value
            if key.casefold() == "elementdatafile":
                break
    return TextHeader(is_nrrd, fields, pairs)


def check_header(path: Path, header: TextHeader) -> None:
    """Refuse what ITK would pass over in silence: no voxel size, other units, other spaces.

    Raises:
        InputError: Also when it is neither format.
    """
    if header.is_nrrd:
        _check_nrrd(path, header.fields)
    elif any(key.casefold() == "ndims" for key in header.fields):
        _check_meta(path, header.fields)
    else:
        raise InputError(
            f"{path}: is neither NRRD nor MetaImage, whatever its name says. Convert or export "
            "the file again."
        )


def _check_nrrd(path: Path, fields: dict[str, str]) -> None:
    _check_spacing(path, fields, ("space directions", "spacings"))
    _check_units(path, {*re.findall(r'"(.*?)"', fields.get("space units", ""))} - {"mm", ""})
    space = fields.get("space", "lps").casefold()
    if space not in NRRD_SPACES:
        raise InputError(
            f"{path}: the header's space is {space!r}; left-posterior-superior or "
            "right-anterior-superior was expected, which say how the patient lies. Export the file "
            "again or correct its header."
        )
    encoding = fields.get("encoding", "").casefold()
    if encoding in UNREAD_ENCODINGS:
        raise InputError(
            f"{path}: its voxels are compressed with {encoding}, which is not read; gzip, raw or "
            "text was expected. Save the volume with another compression."
        )


def _check_meta(path: Path, fields: dict[str, str]) -> None:
    spelling = {name.casefold(): name for name in META_FIELDS}
    for key in fields:
        right = spelling.get(key.casefold(), key)
        if key != right:
            raise InputError(
                f"{path}: the header says {key!r}, which other programs pass over; {right!r} was "
                "expected, since upper and lower case count there. Correct the header."
            )
    _check_spacing(path, fields, ("ElementSpacing", "ElementSize"))
    _check_units(path, {fields.get("DistanceUnits", "")} - META_UNITS)


def _check_spacing(path: Path, fields: dict[str, str], names: tuple[str, str]) -> None:
    if not any(name in fields for name in names):
        raise InputError(
            f"{path}: the header gives no voxel spacing; {names[0]!r} was expected. Export the "
            "file again or correct its header."
        )


def _check_units(path: Path, foreign: set[str]) -> None:
    if foreign:
        raise InputError(
            f"{path}: the header gives lengths in {', '.join(sorted(foreign))}; mm were expected. "
            "Convert the header or export the file again."
        )
