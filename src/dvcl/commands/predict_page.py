"""The page beside predicted label maps: every organ's volume, and scans to scroll through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.commands.prediction_record import REMEDY, PredictionRecord, records_in
from dvcl.errors import counted, counted_are
from dvcl.inference.seen import Seen
from dvcl.records import read_record
from dvcl.report import html
from dvcl.report.tables import TextTable
from dvcl.studies.run import Run
from dvcl.viewer.scene import Scene, case_scene
from dvcl.viewer.section import MOST_SCENES, viewer
from dvcl.volume import Volume

RESEARCH = "Research software: these label maps are not for diagnosis or treatment."


class PredictionPage:
    """Gathers scan by scan what the page shows, in little memory.

    Args:
        run: That predicts.
        seen: By the run.
        members: All runs whose mean predicts, where there are several.
    """

    def __init__(self, run: Run, seen: Seen, members: Sequence[Run] = ()) -> None:
        self.run, self.seen, self.members = run, seen, members
        self.volumes_ml: dict[str, np.ndarray] = {}
        self.doubts: dict[str, Sequence[str]] = {}
        self.known: dict[str, Mapping[str, Any]] = {}
        self.earlier = 0
        # Most doubts first, then most missing organs, then the earlier one.
        self.kept: list[tuple[tuple[int, int, int], Scene]] = []

    def add(
        self,
        name: str,
        image: Volume,
        result: Volume,
        doubts: Sequence[str] = (),
        maps: Mapping[str, Volume] | None = None,
        known: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Take a scan and its label map.

        Args:
            name: Of the scan.
            image: Of the scan.
            result: Label integers.
            doubts: In words.
            maps: From 0 to 1, to lay over it.
            known: Limits by organ, as the record beside the label map has them.
        """
        labels = self.run.labels
        counts = np.array([np.count_nonzero(result.array == value) for value in labels.values[1:]])
        self.volumes_ml[name] = counts * float(np.prod(image.spacing_mm)) / 1000
        self.doubts[name] = doubts
        self.known[name] = known or {}
        rank = (len(doubts), int(np.count_nonzero(counts == 0)), -len(self.volumes_ml))
        if len(self.kept) == MOST_SCENES and rank < self.kept[-1][0]:
            return
        named = {self.run.method: result}
        scene = case_scene(name, image, None, named, labels, self.run.modality, maps)
        self.kept = sorted([*self.kept, (rank, scene)], key=itemgetter(0), reverse=True)
        del self.kept[MOST_SCENES:]

    def write(self, path: Path) -> None:
        """Write the page, where there is a scan to show; its tables have earlier calls' too.

        Args:
            path: The .html file, beside the label maps.

        Raises:
            InputError: When the record beside a label map is damaged.
        """
        if not self.kept:
            return
        self._add_earlier(path.parent)
        scenes = [scene for _, scene in self.kept]
        sections = [
            html.text(self._about(len(scenes))),
            viewer(scenes),
            *self._doubts(),
            html.heading("Volumes"),
            html.table(self._table()),
            *self._trained(),
            html.settings(self._made_by(), "What made these label maps"),
            html.text(RESEARCH),
        ]
        count = len(self.volumes_ml)
        html.write_page(
            path, f"Label maps of {counted(count, 'scan')}", sections, f"by {self.run.method}"
        )

    def _add_earlier(self, folder: Path) -> None:
        """Take what is written of scans that this call has not segmented."""
        for name, path in records_in(folder).items():
            if name in self.volumes_ml:
                continue
            with read_record(path, PredictionRecord, REMEDY) as record:
                found = record.get("organs", {})
                volumes = [found[o]["volume_ml"] if o in found else 0 for o in self.organs]
                self.volumes_ml[name] = np.array(volumes, dtype=float)
                self.doubts[name] = [doubt["text"] for doubt in record["doubts"]]
                self.known[name] = found
                self.earlier += 1

    def _about(self, shown: int) -> str:
        about = (
            f"{shown} of {counted_are(len(self.volumes_ml), 'scan')} here to scroll through, "
            "those first with most doubts, then with most organs missing. There is no reference "
            "here: look before you use a label map."
        )
        if not self.earlier:
            return about
        return f"{about} Those of earlier calls, {self.earlier}, stand in the tables alone."

    @property
    def organs(self) -> tuple[str, ...]:
        """Their names."""
        return self.run.labels.organs

    def _table(self) -> TextTable:
        organs = self.organs
        rows = tuple(
            (
                name,
                str(len(self.doubts[name])),
                f"{np.count_nonzero(volumes)} of {len(organs)}",
                *(
                    f"{_ml(volume)}{_limits(self.known[name].get(organ, {}))}"
                    for organ, volume in zip(organs, volumes.tolist(), strict=True)
                ),
            )
            for name, volumes in sorted(self.volumes_ml.items())
        )
        caption = "Volumes in ml. –: no voxel was found."
        organs_known = (organ for known in self.known.values() for organ in known.values())
        if level := max((organ.get("limits_hold", 0.0) for organ in organs_known), default=0.0):
            caption += f" In brackets: where the true volume lies with {level:.0%}."
        return TextTable(("Scan", "Doubts", "Organs found", *organs), rows, caption)

    def _doubts(self) -> list[html.Section]:
        rows = tuple((name, doubt) for name, doubts in self.doubts.items() for doubt in doubts)
        if not rows:
            return []
        about = (
            "Where scan or label map are unlike those of the training; also in NAME.doubts.json. A "
            "scan without doubts is not therefore right."
        )
        return [
            html.heading("Doubts"),
            html.table(TextTable(("Scan", "Doubt"), rows, about, names=2)),
        ]

    def _trained(self) -> list[html.Section]:
        """The volumes that the run has learned from, to hold the others against."""
        known = [
            [organ.volume_ml for organ in self.seen.of_organ(name)]
            for name in self.run.labels.organs
        ]
        if not any(known):
            return []
        rows = tuple(
            (word, *(_ml(choose(volumes)) if volumes else "–" for volumes in known))
            for word, choose in (("least", min), ("largest", max))
        )
        about = (
            f"Volumes in ml in the {counted(max(map(len, known)), 'label map')} of the training."
        )
        return [html.table(TextTable(("In training", *self.run.labels.organs), rows, about))]

    def _made_by(self) -> dict[str, str | int]:
        run = self.run
        if len(self.members) > 1:
            return {
                f"run {number}": f"{run.recipe.name}, {run.method}, seed {run.seed}"
                for number, run in enumerate(self.members, start=1)
            }
        return {"recipe": run.recipe.name, "method": run.method, "seed": run.seed}


def _ml(volume: float) -> str:
    return f"{volume:.1f}" if volume else "–"


def _limits(known: Mapping[str, float]) -> str:
    if "volume_low_ml" not in known:
        return ""
    return f" ({known['volume_low_ml']:.1f}–{known['volume_high_ml']:.1f})"
