"""A check as a person reads it: findings, what is there, what preparing it takes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from statistics import median

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dvcl.commands.check import Checked, summarise_organs
from dvcl.commands.console import console
from dvcl.commands.estimate import Estimate
from dvcl.commands.fix import Fixed, fixed_in_words
from dvcl.datasets.checks import Finding, alike_as_one
from dvcl.errors import counted
from dvcl.volume.grid import by

STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
# Of warnings and notes with one code so many are shown, those alike as one; errors all.
SHOWN = 8
# Share of the console's width that a name may take in a table, whose columns would break it.
WIDEST_NAME = 0.25


def tell(outcome: Checked | Fixed) -> None:
    """Print a check, or what was corrected."""
    if isinstance(outcome, Fixed):
        console.print(fixed_in_words(outcome), markup=False)
        return
    for part in check_tables(outcome):
        console.print(part)


def check_tables(checked: Checked) -> Iterator[RenderableType]:
    """Everything to print, from top to bottom."""
    if checked.findings:
        yield from _findings(checked)
    if checked.dataset is not None and checked.reports:
        yield Text(_scans_in_words(checked))
        if any(report.organs is not None for report in checked.reports):
            yield _organ_table(checked)
    if checked.estimate is not None:
        yield Text(_estimate_in_words(checked.estimate))
    yield Text(_verdict(checked))


def _findings(checked: Checked) -> Iterator[RenderableType]:
    """A table; or, where that would break the names of files, one finding below the other."""
    base = _common_folder(checked)
    findings, hidden = _shown(checked)
    rows = [
        (f.severity, _short(f.where, base), _short(f.text, base), _short(f.remedy, base))
        for f in findings
    ]
    title = f"paths below {base}" if base else ""
    more = [f"{count} more {code}" for code, count in hidden.items()]
    if len(findings) + hidden.total() < len(checked.findings):
        more.append("every file by its name")
    caption = f"{', '.join(more)}: --json has all." if more else ""
    longest = max(len(word) for row in rows for word in " ".join(row).split())
    if longest > WIDEST_NAME * console.width:
        # Text that is given as such is not wrapped, so that names can be copied.
        lines = [
            f"[{STYLES[severity]}]{severity}[/] {escape(f'{where}: {text} {remedy}'.rstrip())}"
            for severity, where, text, remedy in rows
        ]
        yield "\n".join([escape(title), *lines, escape(caption)]).strip() + "\n"
    else:
        yield _findings_table(rows, title, caption)


def _findings_table(rows: Sequence[tuple[str, str, str, str]], title: str, caption: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    table.add_column("where", overflow="fold", ratio=2)
    table.add_column("found", ratio=5)
    table.add_column("what to do", ratio=3)
    for severity, *cells in rows:
        table.add_row(Text(severity, style=STYLES[severity]), *map(Text, cells))
    if caption:
        table.caption = Text(caption)
    if title:
        table.title = Text(title)
        table.title_justify = "left"
    return table


def _shown(checked: Checked) -> tuple[list[Finding], Counter[str]]:
    """The findings to show, and how many more there are by code."""
    found: Counter[str] = Counter()
    hidden: Counter[str] = Counter()
    findings = []
    for finding in alike_as_one(checked.findings):
        if finding.severity != "error" and found[finding.code] >= SHOWN:
            hidden[finding.code] += 1
            continue
        found[finding.code] += 1
        findings.append(finding)
    return findings, hidden


def _scans_in_words(checked: Checked) -> str:
    assert checked.dataset is not None
    roles = Counter(report.case.role or "without a role" for report in checked.reports)
    parts = ", ".join(f"{count} {role}" for role, count in roles.items())
    scans = counted(len(checked.reports), f"{checked.dataset.modality} scan")
    lines = [f"{scans}: {parts}"]
    spacings = [report.spacing_mm for report in checked.reports if report.spacing_mm]
    sizes = [report.size for report in checked.reports if report.size]
    if spacings and sizes:
        lines += [
            f"voxels   {_spread(spacings)} mm (patient's z, y, x: least, median, most)",
            f"size     {_spread(sizes)} voxels",
        ]
    found = [report.intensities for report in checked.reports if report.intensities]
    if found:
        lows, middles, highs = zip(*((i.low, i.middle, i.high) for i in found), strict=True)
        lines.append(
            f"values   {_span(lows)} (0.5 %), {_span(middles)} (median), {_span(highs)} (99.5 %)"
        )
    turned = Counter(r.geometry.orientation for r in checked.reports if r.geometry)
    lines.append("axes     " + ", ".join(f"{count} {codes}" for codes, count in turned.items()))
    return "\n".join(lines) + "\n"


def _organ_table(checked: Checked) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("organ")
    for heading in ("label maps", "median ml", "least", "most", "voxels"):
        table.add_column(heading, justify="right")
    for organ in summarise_organs(checked):
        least, middle, most = (_millilitres(volume) for volume in organ.volumes_ml)
        where = f"{organ.cases} of {organ.of}"
        table.add_row(Text(organ.organ), where, middle, least, most, str(organ.voxels))
    return table


def _estimate_in_words(estimate: Estimate) -> str:
    return (
        f"\nprepared with {estimate.recipe}: {by(estimate.smallest)} to {by(estimate.largest)} "
        f"voxels (z, y, x); patch {by(estimate.patch)}, window {by(estimate.window)}\n"
        f"takes {_bytes(estimate.disk_bytes)} of disk, at most {_bytes(estimate.ram_bytes)} of RAM "
        f"for each process, and about {_duration(estimate.seconds)} with one process"
    )


def _verdict(checked: Checked) -> str:
    counts = checked.counts
    told = ", ".join(counted(count, severity) for severity, count in counts.items())
    if counts["error"]:
        return f"\n{told}: cannot be used as it is."
    return f"\n{told}: can be prepared."


def _common_folder(checked: Checked) -> str:
    """The folder that holds all files of the data set, or all that are spoken of."""
    cases = [report.case for report in checked.reports]
    files = [str(path) for case in cases for path in (case.image, case.label) if path]
    files = files or [f.where for f in checked.findings if os.sep in f.where]
    folders = {os.path.dirname(file) for file in files}  # noqa: PTH120
    # Relative beside absolute paths, and those of two drives, have nothing in common.
    with suppress(ValueError):
        return os.path.commonpath(folders)
    return ""


def _short(text: str, base: str) -> str:
    return text.replace(f"{base}{os.sep}", "") if base not in ("", os.sep) else text


def _spread(rows: Sequence[tuple[float, ...]]) -> str:
    columns = list(zip(*rows, strict=True))
    kinds = [by([of(column) for column in columns]) for of in (min, median, max)]
    return kinds[0] if len(set(kinds)) == 1 else ", ".join(kinds)


def _span(values: Sequence[float]) -> str:
    least, most = f"{min(values):.4g}", f"{max(values):.4g}"
    return least if least == most else f"{least} to {most}"


def _millilitres(volume: float) -> str:
    return f"{volume:.0f}" if volume >= 100 else f"{volume:.3g}"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
