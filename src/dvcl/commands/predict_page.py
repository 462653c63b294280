"""The page beside predicted label maps: every organ's volume, and scans to scroll through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np

from dvcl.inference.seen import Seen
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
        # Most doubts first, then most missing organs, then the earlier one.
        self.kept: list[tuple[tuple[int, int, int], Scene]] = []

    def add(
        self,
        name: str,
        image: Volume,
        result: Volume,
        doubts: Sequence[str] = (),
        maps: Mapping[str, Volume] | None = None,
    ) -> None:
        """Take a scan, its label map, what is doubtful, and maps from 0 to 1 to lay over it."""
        labels = self.run.labels
        counts = np.array([np.count_nonzero(result.array == value) for value in labels.values[1:]])
        self.volumes_ml[name] = counts * float(np.prod(image.spacing_mm)) / 1000
        self.doubts[name] = doubts
        rank = (len(doubts), int(np.count_nonzero(counts == 0)), -len(self.volumes_ml))
        if len(self.kept) == MOST_SCENES and rank < self.kept[-1][0]:
            return
        named = {self.run.method: result}
        scene = case_scene(name, image, None, named, labels, self.run.modality, maps)
        self.kept = sorted([*self.kept, (rank, scene)], key=itemgetter(0), reverse=True)
        del self.kept[MOST_SCENES:]

    def write(self, path: Path, skipped: int = 0) -> None:
        """Write the page, where there is a scan to show.

        Args:
            path: The .html file.
            skipped: How many label maps of an earlier call are not looked at.
        """
        if not self.kept:
            return
        scenes = [scene for _, scene in self.kept]
        sections = [
            html.text(self._about(len(scenes), skipped)),
            viewer(scenes),
            *self._doubts(),
            html.heading("Volumes"),
            html.table(self._table()),
            *self._trained(),
            html.settings(self._made_by(), "What made these label maps"),
            html.text(RESEARCH),
        ]
        count = len(self.volumes_ml)
        html.write_page(path, f"Label maps of {count} scans", sections, f"by {self.run.method}")

    def _about(self, shown: int, skipped: int) -> str:
        about = (
            f"{shown} of {len(self.volumes_ml)} scans are in this page, those first with most "
            "doubts, then with most organs missing. There is no reference here: look before you "
            "use a label map."
        )
        if not skipped:
            return about
        return f"{about} Label maps of an earlier call, not in this page: {skipped}."

    def _table(self) -> TextTable:
        organs = self.run.labels.organs
        rows = tuple(
            (
                name,
                str(len(self.doubts[name])),
                f"{np.count_nonzero(volumes)} of {len(organs)}",
                *map(_ml, volumes.tolist()),
            )
            for name, volumes in self.volumes_ml.items()
        )
        return TextTable(
            ("Scan", "Doubts", "Organs found", *organs),
            rows,
            "Volumes in ml. –: no voxel was found.",
        )

    def _doubts(self) -> list[html.Section]:
        rows = tuple((name, doubt) for name, doubts in self.doubts.items() for doubt in doubts)
        if not rows:
            return []
        about = (
            "Where scan or label map are unlike those of the training; also in NAME.doubts.json. A "
            "scan without doubts is not therefore right."
        )
        return [html.heading("Doubts"), html.table(TextTable(("Scan", "Doubt"), rows, about))]

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
        about = f"Volumes in ml in the {max(map(len, known))} label maps of the training."
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
