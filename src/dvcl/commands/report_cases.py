"""The cases that a study's page shows: to scroll through, and as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvcl.evaluation.summary import Summary
from dvcl.report import html
from dvcl.report.figures import small_png_bytes
from dvcl.report.overlays import overlay_sheet
from dvcl.studies.case_volumes import read_volumes
from dvcl.studies.run import Run
from dvcl.studies.scored import test_cases
from dvcl.viewer.scene import Scene, case_scene
from dvcl.viewer.section import viewer


def case_sections(runs: Mapping[str, Run], summaries: Mapping[str, Summary]) -> list[html.Section]:
    """Worst, typical and best case of the last run, as every run sees them.

    Args:
        runs: By their name on the page.
        summaries: Their scores.
    """
    last = list(runs)[-1]
    cases = {case.id: case for case in test_cases(runs[last])}
    scenes: list[Scene] = []
    pictures = []
    for case_id, kind in _chosen(summaries[last].ranking).items():
        named = {
            f"{name}: {100 * summaries[name].case_dice[case_id]:.1f} %": run
            for name, run in runs.items()
            if case_id in summaries[name].case_dice
        }
        read = read_volumes(cases[case_id], named)
        shown = (read.image, read.reference, read.predictions, read.labels, read.modality)
        scenes.append(case_scene(f"{kind}: {case_id}", *shown))
        caption = (
            f"{kind} case of {last}: {case_id}, with each run's mean Dice. White lines outline "
            "the reference. Click to enlarge."
        )
        pictures.append(html.picture(small_png_bytes(overlay_sheet(*shown)), caption))
    return [viewer(scenes), *pictures]


def _chosen(ranking: Sequence[str]) -> dict[str, str]:
    """What a case is, by its id; each is shown once. The ranking has the best one first."""
    chosen: dict[str, str] = {}
    if ranking:
        for kind, place in (("Worst", -1), ("Typical", len(ranking) // 2), ("Best", 0)):
            chosen.setdefault(ranking[place], kind)
    return chosen
