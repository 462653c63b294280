"""What a folder of masks says about all of them: names, colours, and every organ's volume."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dvcl.commands.prediction_record import REMEDY, PredictedOrgan, PredictionRecord, records_in
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.folders import LABEL_FILE
from dvcl.datasets.masks import read_case_label
from dvcl.datasets.organs import segments_of, without_code
from dvcl.errors import InputError
from dvcl.files import read_json, write_json, write_text
from dvcl.records import read_record
from dvcl.studies.run import Run
from dvcl.volume import Volume, read_geometry, volume_stem
from dvcl.volume.label_tables import slicer_table, snap_table
from dvcl.volume.names import NRRD_SUFFIXES, SEGMENTATION_SUFFIX, STRUCTURES_SUFFIX
from dvcl.volume.rtstruct import read_structures

SNAP_FILE, SLICER_FILE, VOLUMES_FILE = "labels.itksnap.txt", "labels.ctbl", "volumes.csv"
CODED_SUFFIXES = (*NRRD_SUFFIXES, SEGMENTATION_SUFFIX)

# Of what `dvcl calibrate` has learned, and of how sure the networks are.
DOUBT_COLUMNS = (
    *("volume_low_ml", "volume_high_ml", "dice_at_least", "limits_hold"),
    *("expected_dice", "expected_dice_error", "uncertainty", "agreement"),
)


def _number(name: str) -> Callable[[PredictedOrgan], object]:
    return lambda organ: round(organ[name], 4) if name in organ else ""  # type: ignore[literal-required]


# The columns of volumes.csv behind scan and organ; what a record lacks is left empty.
COLUMNS: dict[str, Callable[[PredictedOrgan], object]] = {
    "volume_ml": lambda organ: round(organ["volume_ml"], 4),
    "largest_part": lambda organ: round(1 - organ["scattered"], 4),
    "removed_ml": lambda organ: round(organ.get("removed_ml", 0), 4),
    "border_mm": lambda organ: round(organ["border_mm"], 2) if "border_mm" in organ else "",
    "cut_off": lambda organ: "yes" if organ["at_border"] else "no",
    **{name: _number(name) for name in DOUBT_COLUMNS},
}


def check_names(folder: Path, labels: LabelTable) -> None:
    """Refuse a folder that says already that the integers of its masks mean something else.

    Raises:
        InputError: Names both.
    """
    path, names = folder / LABEL_FILE, _names(labels)
    if path.exists() and (there := read_json(path)) != names:
        raise InputError(
            f"{path}: names the integers of the label maps there otherwise than the run ("
            f"{_brief(there)}; {_brief(names)} was expected). Choose another folder with --out, or "
            "delete the file with its label maps."
        )


def write_tables(folder: Path, labels: LabelTable) -> None:
    """Write names as `write_names`, and the organs' volumes.

    Raises:
        InputError: When the record beside a mask is damaged.
    """
    write_names(folder, labels)
    _write_volumes(folder, labels.organs)


def write_names(folder: Path, labels: LabelTable) -> None:
    """Write what the integers of the masks mean, for people, ITK-SNAP and 3D Slicer."""
    segments = segments_of(labels)
    write_json(folder / LABEL_FILE, _names(labels))
    write_text(folder / SNAP_FILE, snap_table(segments))
    write_text(folder / SLICER_FILE, slicer_table(segments))


def _names(labels: LabelTable) -> dict[str, str]:
    return {str(value): name for value, name in zip(labels.values, labels.names, strict=True)}


def missing_codes(masks: Iterable[Path], labels: LabelTable) -> str:
    """A sentence about organs that files with codes name and do not code; empty where all is said.

    Args:
        masks: That are to be written.
        labels: Names of the organs.
    """
    missing = without_code(labels)
    if not missing or not any(mask.name.endswith(CODED_SUFFIXES) for mask in masks):
        return ""
    return (
        f"No SNOMED code is known for {', '.join(missing)}: the files call them tissue (85756007) "
        "and give their names."
    )


def read_mask(mask: Path, scan: Path, run: Run) -> Volume:
    """A label map by a run, in whatever form it was written.

    Args:
        mask: Of the file.
        scan: To which it belongs.
        run: That has made it.

    Raises:
        InputError: When it is damaged.
    """
    if mask.name.endswith(STRUCTURES_SUFFIX):
        return read_structures(mask, segments_of(run.labels), read_geometry(scan))
    return read_case_label(Case(volume_stem(mask), scan, mask), run.labels)


def _brief(names: object) -> str:
    text = str(names)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _write_volumes(folder: Path, organs: Sequence[str]) -> None:
    """A row for every organ of every mask in the folder, also of earlier calls; 0 if not found."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("scan", "organ", *COLUMNS))
    for scan, path in records_in(folder).items():
        with read_record(path, PredictionRecord, REMEDY) as record:
            found = record.get("organs", {})
            for name in dict.fromkeys((*organs, *found)):
                table.writerow((scan, name, *_cells(found.get(name))))
    write_text(folder / VOLUMES_FILE, text.getvalue())


def _cells(organ: PredictedOrgan | None) -> list[object]:
    if organ is None:
        return [0, *[""] * (len(COLUMNS) - 1)]
    return [value(organ) for value in COLUMNS.values()]
