"""What goes in, as pictures or pages: one scan as a contact sheet, a data set as a montage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from dvcl.commands.show_page import write_montage_page, write_scan_page
from dvcl.commands.show_subject import Subject
from dvcl.datasets.checks import Finding, findings_among
from dvcl.datasets.checks.cases import CaseReport
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
    subject: Subject,
    out: Path | None,
    case: str | None = None,
    progress: Progress | None = None,
    tell: Callable[[Sequence[Finding]], None] | None = None,
) -> list[Path]:
    """Write a contact sheet (one scan, or ``case`` of several) or a montage.

    Args:
        subject: What to show.
        out: A .png file, or an .html page with the pictures and a viewer; None takes the name of
            the case or of the data set and .png, in this folder. The second sheet of a montage is
            called X-2.png, and so on.
        case: Id of one case.
        progress: Called as (done, total, case id) after each tile.
        tell: Called with all that `dvcl check` finds of the cases that are shown.

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
        scan, findings = subject.read(name), subject.look(name).findings
        if tell:
            tell(findings)
        problems = [f"{each.text} {each.remedy}".rstrip() for each in worth_a_look(findings)]
        if _is_page(target):
            write_scan_page(target, scan, problems)
        else:
            save_png(contact_sheet(scan, problems), target)
        return [target]
    return _write_montage(subject, out or Path(f"{subject.name}.png"), progress, tell)


def _write_montage(
    subject: Subject,
    out: Path,
    progress: Progress | None,
    tell: Callable[[Sequence[Finding]], None] | None,
) -> list[Path]:
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
    among = findings_among(reports, subject.labels)
    found = [*(finding for report in reports for finding in report.findings), *among]
    if tell:
        tell(found)
    tiles = [_marked(tile, found) for tile in unmarked]
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


def _marked(tile: Tile, findings: Sequence[Finding]) -> Tile:
    """The tile with what `dvcl check` says of its case, alone and among the others."""
    found = worth_a_look(finding for finding in findings if finding.case == tile.id)
    problems = tuple(finding.text.rstrip(".") for finding in found)
    remedies = tuple(dict.fromkeys(finding.remedy for finding in found if finding.remedy))
    # The place of a case that cannot be shown says why, also where no check finds a reason.
    return replace(tile, problems=problems or tile.problems, remedies=remedies)


def worth_a_look(findings: Iterable[Finding]) -> list[Finding]:
    """All but notes that nothing unusual stands behind."""
    return [each for each in findings if each.severity != "note" or each.code in UNUSUAL]


def _short(problems: Sequence[str]) -> str:
    """Without the folders in front, which do not fit into a tile."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return " ".join(word.rpartition("/")[2] for word in problems[0].split()) + more
