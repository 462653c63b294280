"""Pictures of a comparison's cases, where the runs' folders are still there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from dvcl.comparison.choice import (
    Chosen,
    by_dice,
    shown_methods,
    typical_case,
    worst_cases,
    worst_table,
)
from dvcl.comparison.findings import Findings
from dvcl.comparison.records import RunRecord
from dvcl.errors import InputError
from dvcl.evaluation.summary import spread
from dvcl.files import read_json
from dvcl.report import html
from dvcl.report.case_sheet import case_sheet
from dvcl.report.figures import png_bytes, save_figure, small_png_bytes
from dvcl.report.overlays import overlay_sheet
from dvcl.report.tables import percent
from dvcl.studies.case_volumes import read_volumes
from dvcl.studies.run import open_run
from dvcl.studies.scored import test_cases
from dvcl.viewer.scene import Scene, case_scene

Drawn = TypeVar("Drawn")


def sections_figure(folder: Path, found: Findings, chosen: Chosen) -> Iterator[html.Section]:
    """One case in three sections and in space, also as PNG and PDF."""
    case = _typical(found, chosen)
    why = (
        "" if case == chosen.case else f", the median case of {by_dice(found)[0]}, the best method"
    )
    methods = shown_methods(found, chosen.methods)
    yield html.heading(f"One case: {case}", level=3)
    sheet = _drawn(case_sheet, found, case, methods, "\nDice ")
    if isinstance(sheet, str):
        yield html.text(sheet)
        return
    save_figure(sheet, folder / f"sections, {found.file_title}, {case}")
    left_out = [name for name in found.runs if name not in methods]
    yield html.picture(
        png_bytes(sheet),
        f"{case}{why}, as {', '.join(methods)} with their first seed see it: (a) to (c) transverse "
        "sections that together show most of every organ, white lines outline the reference; (d) "
        "all organs from the front."
        + (f" Not shown: {', '.join(left_out)}; --show takes others." if left_out else ""),
    )


def worst_pictures(found: Findings, chosen: Chosen) -> Iterator[html.Section]:
    """The worst cases of all methods together: a table, and pictures."""
    yield html.heading("Worst cases", level=3)
    yield html.table(worst_table(found))
    for case in worst_cases(found):
        sheet = _drawn(overlay_sheet, found, case, shown_methods(found, chosen.methods), ": ")
        if isinstance(sheet, str):
            yield html.text(sheet)
            return
        caption = f"{case}. White lines outline the reference. Click to enlarge."
        yield html.picture(small_png_bytes(sheet), caption)


def case_scenes(found: Findings, chosen: Chosen) -> list[Scene]:
    """The case of `sections_figure` and the worst one, to scroll through; fewer if not on disk."""
    cases = dict.fromkeys([_typical(found, chosen), *worst_cases(found)[:1]])
    methods = shown_methods(found, chosen.methods)
    drawn = (
        _drawn(partial(case_scene, f"{case}, {found.title}"), found, case, methods, ": ")
        for case in cases
    )
    return [scene for scene in drawn if not isinstance(scene, str)]


def _typical(found: Findings, chosen: Chosen) -> str:
    scored = {score.case for records in found.runs.values() for r in records for score in r.scores}
    return chosen.case if chosen.case in scored else typical_case(found)


def _drawn(
    draw: Callable[..., Drawn],
    found: Findings,
    case_id: str,
    methods: Sequence[str],
    between: str,
) -> Drawn | str:
    """What each method's first seed made of a case, or why that cannot be shown.

    In the columns' names, ``between`` stands before the Dice of the very run that is shown.
    """
    records = {name: record for name in methods if (record := _on_disk(found.runs[name]))}
    if not records:
        return "The runs' folders are not here: there are no pictures."
    try:
        runs = {
            f"{name}{between}{percent(_dice(record, case_id))} %": open_run(record.entry.folder)
            for name, record in records.items()
        }
        cases = {case.id: case for case in test_cases(next(iter(runs.values())))}
        if case_id not in cases:
            return f"{case_id} is none of the study's scored cases."
        read = read_volumes(cases[case_id], runs)
        return draw(read.image, read.reference, read.predictions, read.labels, read.modality)
    except InputError as error:
        return f"{case_id} cannot be shown: {' '.join(error.problems)}"


def _on_disk(records: Sequence[RunRecord]) -> RunRecord | None:
    """The first seed whose folder holds the very run that was recorded."""
    for record in records:
        path = record.entry.folder / "run.json"
        if path.exists() and read_json(path).get("hash") == record.hash:
            return record
    return None


def _dice(record: RunRecord, case_id: str) -> float:
    return spread([score.dice for score in record.scores if score.case == case_id]).mean
