"""What goes in, as pictures or pages: one scan as a contact sheet, a data set as a montage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from dvcl.commands.show_page import write_montage_page, write_scan_page
from dvcl.commands.show_subject import Subject
from dvcl.datasets.checks import Finding, findings_among
from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError, counted
from dvcl.report.contact_sheet import contact_sheet
from dvcl.report.figures import save_png
from dvcl.report.montage import montages
from dvcl.report.tiles import Tile, failed_tile, tile_of
from dvcl.studies.project import Progress

MAX_WORKERS = 4  # each holds one scan and its label
SUFFIXES = (".png", ".html")
UNUSUAL = ("odd-spacing", "odd-size", "odd-volume")


def show(
    subject: Subject, out: Path | None, case: str | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write a contact sheet (one scan, or ``case`` of several) or a montage.

    Args:
        subject: What to show.
        out: A .png file, or an .html page with the pictures and a viewer; None takes the name of
            the case or of the data set and .png, in this folder. The second sheet of a montage is
            called X-2.png, and so on.
        case: Id of one case.
        progress: Called as (done, total, case id) after each tile.

    Returns:
        The files written.

    Raises:
        InputError: When ``out`` is neither, or there is no such case.
    """
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out {out}: the name of a .png or .html file was expected.")
    if case is not None and case not in subject.roles:
        near = ", ".join([*subject.roles][:3])
        raise InputError(
            f"--case {case!r}: not among the {counted(len(subject.roles), 'case')} of "
            f"{subject.name}; they are called {near} and so on."
        )
    if subject.is_alone or case is not None:
        name = case or next(iter(subject.roles))
        target = out or Path(f"{name}.png")
        scan, problems = subject.read(name), _worth_a_look(subject.look(name).findings)
        if _is_page(target):
            write_scan_page(target, scan, problems)
        else:
            save_png(contact_sheet(scan, problems), target)
        return [target]
    return _write_montage(subject, out or Path(f"{subject.name}.png"), progress)


def _write_montage(subject: Subject, out: Path, progress: Progress | None) -> list[Path]:
    unmarked: list[Tile] = []
    reports: list[CaseReport] = []
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        ids = list(subject.roles)
        for tile, report in pool.map(partial(_tile, subject), ids):
            unmarked.append(tile)
            reports.append(report)
            if progress:
                progress(len(reports), len(ids), tile.id)
    title = f"{subject.name}: {counted(len(ids), 'scan')}; {subject.about}"
    has_labels = any(role != "unlabelled" for role in subject.roles.values())
    organs = subject.labels.organs if has_labels else ()
    tiles = list(_marked(unmarked, reports, subject.labels))
    sheets = montages(tiles, organs, title)
    if _is_page(out):
        write_montage_page(out, title, tiles, sheets, subject.read)
        return [out]
    written = []
    for page, figure in enumerate(sheets, start=1):
        path = out if page == 1 else out.with_stem(f"{out.stem}-{page}")
        save_png(figure, path)
        written.append(path)
    return written


def _is_page(out: Path) -> bool:
    return out.suffix.lower() == ".html"


def _tile(subject: Subject, case_id: str) -> tuple[Tile, CaseReport]:
    report = subject.look(case_id)
    try:
        return tile_of(subject.read(case_id)), report
    except InputError as error:
        return failed_tile(case_id, subject.roles[case_id], _short(error.problems)), report


def _marked(
    tiles: Sequence[Tile], reports: Sequence[CaseReport], labels: LabelTable
) -> Iterator[Tile]:
    """The tiles with what `dvcl check` says of their cases, alone and among the others."""
    among = findings_among(reports, labels)
    for tile, report in zip(tiles, reports, strict=True):
        found = (*report.findings, *(finding for finding in among if finding.case == tile.id))
        # The place of a case that cannot be shown says why.
        yield replace(tile, problems=_worth_a_look(found)) if tile.panes else tile


def _worth_a_look(findings: Iterable[Finding]) -> tuple[str, ...]:
    """All but notes that nothing unusual stands behind, without the file."""
    return tuple(
        finding.text.rstrip(".")
        for finding in findings
        if finding.severity != "note" or finding.code in UNUSUAL
    )


def _short(problems: Sequence[str]) -> str:
    """Without the folders in front, which do not fit into a tile."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return " ".join(word.rpartition("/")[2] for word in problems[0].split()) + more
