"""What a reviewer asks about the data of a comparison: cases, overlaps, organs, preparation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from dvcl.comparison.records import RunRecord
from dvcl.errors import InputError, counted
from dvcl.evaluation.cases import CaseScore
from dvcl.files import read_json
from dvcl.recipe import parse_recipe
from dvcl.report.tables import UNDEFINED, TextTable
from dvcl.splits import Split
from dvcl.store import Store
from dvcl.studies.leak_guard import guard_split
from dvcl.studies.project import open_project
from dvcl.volume.grid import by

NOT_THERE = (
    "The study is not here, so it was not looked again. Training refuses one scan in two parts, "
    "unless that was allowed."
)


@dataclass(frozen=True)
class PresentOrgan:
    """An organ in the scored cases.

    Attributes:
        name: Of the organ.
        cases: Whose reference has it.
        unknown: In which nobody has drawn it.
        volumes_ml: Median, least and largest in the reference; NaN without cases.
    """

    name: str
    cases: int
    unknown: int
    volumes_ml: tuple[float, float, float]


@dataclass(frozen=True)
class Audit:
    """Of one group of runs, which share their data.

    Attributes:
        cases: Ids by role.
        scored: How many cases the scores are of.
        organs: In the scored cases.
        overlap: What the search for scans in two parts came to, one line each.
        scans: Grid of the scored scans; empty where the study is not here.
        preparation: Its settings.
        modality: "CT" or "MR".
        data: Hash of the voxels of all cases that take part.
        note: What the split says about itself, where the run is here.
    """

    cases: dict[str, list[str]]
    scored: int
    organs: list[PresentOrgan]
    overlap: list[str]
    scans: str
    preparation: dict[str, Any]
    modality: str
    data: str
    note: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """For people."""
        told = {f"{role} cases": len(ids) for role, ids in self.cases.items()}
        scans = {"scored scans": self.scans} if self.scans else {}
        note = {"split": self.note} if self.note else {}
        return {
            "modality": self.modality, **told, **note, **scans,
            "the same scan in two parts": " ".join(self.overlap),
            "preparation": self.preparation, "hash of all voxels": self.data,
        }  # fmt: skip

    @property
    def table(self) -> TextTable:
        """Organs and their volumes."""
        return TextTable(
            ("Organ", "Cases", "Median ml", "Least ml", "Largest ml"),
            tuple(
                (organ.name, f"{organ.cases} of {self.scored - organ.unknown}",
                 *(_ml(volume) for volume in organ.volumes_ml))
                for organ in self.organs
            ),
            "Scored cases whose reference has the organ, of those in which it was looked for, and "
            "its volume there.",
        )  # fmt: skip


def audit(records: Sequence[RunRecord]) -> Audit:
    """Look at the data of runs of one group."""
    settings, scores = records[0].settings, records[0].scores
    overlap, scans = _in_study(records[0])
    written = records[0].entry.folder / "run.json"
    note = read_json(written)["note"] if written.exists() else ""
    cases = list(dict.fromkeys(score.case for score in scores))
    organs = dict.fromkeys(score.organ for score in scores)
    return Audit(
        {role: list(ids) for role, ids in settings["split"].items()},
        len(cases),
        [_organ(name, [score for score in scores if score.organ == name]) for name in organs],
        overlap,
        scans,
        dict(settings["recipe"]["preprocessing"]),
        settings["modality"],
        settings["data"],
        note,
    )


def _organ(name: str, scores: Sequence[CaseScore]) -> PresentOrgan:
    volumes = [score.reference_ml for score in scores if score.reference_ml > 0]
    unknown = sum(math.isnan(score.reference_ml) for score in scores)
    nothing = (math.nan,) * 3
    found = (median(volumes), min(volumes), max(volumes)) if volumes else nothing
    return PresentOrgan(name, len(volumes), unknown, found)


def _in_study(record: RunRecord) -> tuple[list[str], str]:
    """What only the prepared data tell: overlaps, and the grids of the scored scans."""
    recipe = dict(record.settings["recipe"])
    try:
        project = open_project(record.entry.study, record.settings.get("edition", 1))
        store = project.store(parse_recipe(recipe, recipe["name"], "record"))
        split = Split(**record.settings["split"], seed=0)
        _, told = guard_split(split, store, allow_overlap=True)
        count = sum(map(len, split.parts().values()))
        pairs = f"all pairs of the {counted(count, 'case')}"
        clean = f"None: {pairs} were compared, by their voxels and by look."
        return told or [clean], _grids(store, dict.fromkeys(s.case for s in record.scores))
    except InputError:
        return [NOT_THERE], ""


def _grids(store: Store, ids: Sequence[str] | dict[str, None]) -> str:
    """Such as "spacing 1 to 2 x 0.8 x 0.8 mm"."""
    grids = [store.case(case_id).grid.source for case_id in ids]
    spacing = [_between(values) for values in zip(*(g.spacing_mm for g in grids), strict=True)]
    shape = [_between(values) for values in zip(*(g.shape for g in grids), strict=True)]
    return f"{' x '.join(shape)} voxels (z, y, x) of {' x '.join(spacing)} mm"


def _between(values: Sequence[float]) -> str:
    least, most = by([min(values)]), by([max(values)])
    return least if least == most else f"{least}–{most}"


def _ml(volume: float) -> str:
    return UNDEFINED if math.isnan(volume) else f"{volume:.1f}"
