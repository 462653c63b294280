"""NAME.doubts.json: what a mask was made of, what it shows, and what is doubtful about it."""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from dvcl.datasets.checks import Finding
from dvcl.files import sha256_of_bytes
from dvcl.records import Amount, Name, read_record
from dvcl.studies.seen import OrganRecord
from dvcl.volume import VOLUME_SUFFIXES, volume_stem
from dvcl.volume.names import SEGMENTATION_SUFFIX, STRUCTURES_SUFFIX

ENDING = ".doubts.json"
MASK_ENDINGS = (*VOLUME_SUFFIXES, SEGMENTATION_SUFFIX, STRUCTURES_SUFFIX)
REMEDY = "Delete it and predict again."


class DoubtRecord(TypedDict):
    """A doubt."""

    code: Name
    where: str
    text: str
    remedy: str
    case: str | None
    numbers: dict[str, Any]


class PredictedOrgan(OrganRecord):
    """An organ of a mask."""

    removed_ml: NotRequired[Amount]
    uncertainty: NotRequired[float]
    agreement: NotRequired[float]
    volume_low_ml: NotRequired[float]
    volume_high_ml: NotRequired[float]
    dice_at_least: NotRequired[float]
    limits_hold: NotRequired[float]
    expected_dice: NotRequired[float]
    expected_dice_error: NotRequired[float]


class MaskRecord(TypedDict):
    """The label map as it was written, by which a correction is known."""

    file: Name
    sha256: str


class PredictionRecord(TypedDict):
    """The file, as far as it is read back."""

    doubts: list[DoubtRecord]
    made_of: str
    organs: NotRequired[dict[str, PredictedOrgan]]
    mask: NotRequired[MaskRecord]


@dataclass(frozen=True)
class Prediction:
    """A label map that is there now.

    Attributes:
        mask: The file; ``<name>.doubts.json`` lies beside it.
        doubts: About the scan and about the mask.
        is_new: Whether this call made it.
    """

    mask: Path
    doubts: tuple[Finding, ...]
    is_new: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        doubts = [doubt.to_json() for doubt in self.doubts]
        return {"mask": str(self.mask), "doubts": doubts, "is_new": self.is_new}


def records_in(folder: Path) -> dict[str, Path]:
    """{name of the scan: record} of the masks that are in a folder, sorted."""
    masks = {
        volume_stem(path) for path in folder.iterdir() if path.name.lower().endswith(MASK_ENDINGS)
    }
    records = sorted(folder.glob(f"*{ENDING}"))
    named = {path.name.removesuffix(ENDING): path for path in records}
    return {name: path for name, path in named.items() if name in masks}


def beside(mask: Path, ending: str = ENDING) -> Path:
    """A file that belongs to a mask; the record, where nothing else is asked for."""
    return mask.with_name(f"{volume_stem(mask)}{ending}")


def member_mask(mask: Path, number: int) -> Path:
    """Where the label map by one of several members lies, counted from 1."""
    return beside(mask, f".member-{number}{mask.name.removeprefix(volume_stem(mask))}")


def mask_record(mask: Path) -> MaskRecord:
    """Of a label map that is whole."""
    return MaskRecord(file=mask.name, sha256=sha256_of_bytes(mask))


def is_changed(mask: Path) -> bool:
    """Whether somebody has changed a label map since it was written.

    Those of earlier versions, and of a scan that has another format's record, do not tell.

    Raises:
        InputError: When the record is damaged.
    """
    if not mask.is_file() or not beside(mask).exists():
        return False
    with read_record(beside(mask), PredictionRecord, REMEDY) as record:
        made = record.get("mask")
        return made is not None and made["file"] == mask.name and made != mask_record(mask)


def forget(mask: Path) -> None:
    """Remove a label map of an earlier call and what belongs to it, if there is any.

    The label map goes first: stopped at any time, nothing is left that looks whole, and no map,
    picture or member's label map lies beside one that it is not of.
    """
    if not beside(mask).exists():
        return
    name, suffix = volume_stem(mask), mask.name.removeprefix(volume_stem(mask))
    maps = [beside(mask, f".{kind}.nii.gz") for kind in ("uncertainty", "disagreement")]
    members = mask.parent.glob(f"{escape(name)}.member-*{suffix}")
    # A scan may be called so too; then a record tells.
    apart = [path for path in (*maps, *members) if not beside(path).exists()]
    for path in (mask, beside(mask, ".png"), *apart):
        path.unlink(missing_ok=True)
