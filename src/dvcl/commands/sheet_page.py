"""The page of a sheet: a row for every unlabelled scan, doubts, pictures by verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from dvcl.commands.opinions import MASKS
from dvcl.commands.sheet import TABLE, Judged, Sheet
from dvcl.commands.show_subject import subject_of_dataset
from dvcl.datasets.dataset import Case, Dataset
from dvcl.errors import counted
from dvcl.evaluation.trust import Verdict
from dvcl.report import html
from dvcl.report.figures import small_png_bytes
from dvcl.report.montage import montages
from dvcl.report.tables import UNDEFINED, TextTable
from dvcl.report.tiles import tile_of

MOST_PICTURED = 20  # of each verdict

ABOUT = (
    "Agreement: the mean over organs of the Dice between the masks of each two members (runs, or "
    "the two networks of one); of one network, of its mask and its own probabilities. z: how many "
    "standard deviations a volume lies from the training's, of logarithms. Pieces: the largest "
    "share of an organ outside its largest part, before clean-up. A verdict is a guess from few "
    "validation cases, and an accepted mask is no reference."
)


def write_sheet_page(path: Path, sheet: Sheet) -> None:
    """Write the page.

    Args:
        path: The .html file.
        sheet: What it shows.

    Raises:
        InputError: When a scan or mask can no longer be read.
    """
    made_by = {
        f"run {number}": f"{run.recipe.name}, {run.method}, seed {run.seed}"
        for number, run in enumerate(sheet.members.runs, start=1)
    }
    sections = [
        html.text(f"{sheet.about}\n\n{ABOUT}"),
        html.table(_scans(sheet)),
        *_validation(sheet),
        *_doubts(sheet.rows),
        *_pictures(sheet),
        html.settings(made_by, "What made these masks"),
    ]
    html.write_page(
        path, counted(len(sheet.rows), "unlabelled scan"), sections, "which masks to take"
    )


def _scans(sheet: Sheet) -> TextTable:
    organs = sheet.members.first.labels.organs
    columns = ("Scan", "Verdict", "Agreement", "Least agreement", "Largest |z|", "Pieces",
               "Doubts", "Organs", "At the border")  # fmt: skip
    rows = tuple(_cells(row, len(organs)) for row in sheet.rows)
    about = f"Volumes and numbers of every organ: {TABLE}. Masks: {MASKS}/."
    return TextTable(columns, rows, about)


def _cells(row: Judged, organs: int) -> tuple[str, ...]:
    opinion = row.opinion
    agreed, shown = opinion.agreement, opinion.organs
    least, odd = min(agreed, key=agreed.__getitem__, default=""), _oddest(row.z)
    pieces = max(shown, key=lambda name: shown[name]["scattered"], default="")
    cut = sum(organ["at_border"] for organ in shown.values())
    return (
        opinion.name,
        row.verdict,
        f"{opinion.mean_agreement:.3f}",
        f"{agreed[least]:.3f} {least}" if least else UNDEFINED,
        f"{row.z[odd]:+.1f} {odd}" if odd else UNDEFINED,
        f"{shown[pieces]['scattered']:.0%} {pieces}" if pieces else UNDEFINED,
        str(len(opinion.doubts)),
        f"{len(shown)} of {organs}",
        f"{cut} of {len(shown)}",
    )


def _oddest(z: dict[str, float]) -> str:
    return max(z, key=lambda name: abs(z[name]), default="")


def _validation(sheet: Sheet) -> list[html.Section]:
    if not sheet.validation:
        return []
    rows = tuple(
        (case, f"{agreed:.3f}", f"{dice:.3f}")
        for case, agreed, dice in sorted(sheet.validation, key=lambda row: row[1])
    )
    about = f"What the limits were learned from; good is a mean Dice of {sheet.limits.wanted:.2f}."
    table = TextTable(("Validation case", "Agreement", "Mean Dice"), rows, about)
    return [html.heading("Validation cases"), html.table(table)]


def _doubts(rows: Sequence[Judged]) -> list[html.Section]:
    told = {
        row.opinion.name: " ".join(doubt.text for doubt in row.opinion.doubts)
        for row in rows
        if row.opinion.doubts
    }
    return [html.heading("Doubts"), html.facts(told)] if told else []


def _pictures(sheet: Sheet) -> Iterator[html.Section]:
    run = sheet.members.first
    for verdict in get_args(Verdict):
        rows = [row.opinion for row in sheet.rows if row.verdict == verdict]
        shown = sorted(rows, key=lambda opinion: opinion.mean_agreement)[:MOST_PICTURED]
        if not shown:
            continue
        cases = tuple(Case(opinion.name, opinion.scan, opinion.mask) for opinion in shown)
        subject = subject_of_dataset(Dataset(verdict, run.modality, cases, run.labels))
        tiles = [tile_of(subject.read(case.id)) for case in cases]
        yield html.heading(verdict.capitalize())
        about = f"{len(shown)} of {len(rows)}, the least agreement first."
        for figure in montages(tiles, run.labels.organs, f"{verdict}; {subject.about}"):
            yield html.picture(small_png_bytes(figure), about)
