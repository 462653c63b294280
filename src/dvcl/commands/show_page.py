"""Pages of scans: their pictures, and the scans to scroll through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from dvcl.errors import counted_are
from dvcl.report import html
from dvcl.report.contact_sheet import contact_sheet
from dvcl.report.figures import small_png_bytes
from dvcl.report.scan import Scan
from dvcl.report.tables import TextTable
from dvcl.report.tiles import Tile
from dvcl.viewer.scene import scan_scene
from dvcl.viewer.section import MOST_SCENES, viewer


def write_scan_page(path: Path, scan: Scan, problems: Sequence[str]) -> None:
    """One scan: the viewer and its contact sheet."""
    figure = contact_sheet(scan, problems)
    sheet = html.picture(small_png_bytes(figure), f"Contact sheet of {scan.name}.")
    html.write_page(path, scan.id, [viewer([scan_scene(scan)]), sheet], scan.name)


def write_montage_page(
    path: Path,
    title: str,
    tiles: Sequence[Tile],
    sheets: Iterable[Figure],
    read: Callable[[str], Scan],
) -> None:
    """A data set: a table of its scans, the viewer with some of them, and the montage.

    Args:
        path: The .html file.
        title: Of the page.
        tiles: Of all scans.
        sheets: The montage.
        read: Reads a scan by its id, for the viewer.
    """
    shown = _chosen(tiles)
    scans = "all of them" if len(shown) == len(tiles) else "those marked first, then labelled ones"
    sections = [
        html.table(_table(tiles)),
        html.heading("Scroll through scans"),
        html.text(f"{len(shown)} of {counted_are(len(tiles), 'scan')} in this page: {scans}."),
        viewer([scan_scene(read(tile.id)) for tile in shown]),
        html.heading("Montage"),
        *(html.picture(small_png_bytes(sheet), "One scale for all scans.") for sheet in sheets),
    ]
    html.write_page(path, title.partition(":")[0], sections, title)


def _chosen(tiles: Sequence[Tile]) -> list[Tile]:
    """As many as a page holds: what is odd, then what has labels, then the rest."""
    readable = [tile for tile in tiles if tile.panes]
    return sorted(readable, key=lambda tile: (not tile.problems, tile.role == "unlabelled"))[
        :MOST_SCENES
    ]


def _table(tiles: Sequence[Tile]) -> TextTable:
    rows = [
        (
            tile.id, tile.role or "", tile.caption,
            "; ".join(tile.problems) or "–", " ".join(tile.remedies) or "–",
        )
        for tile in tiles
    ]  # fmt: skip
    columns = ("Scan", "Role", "Spacing, size, orientation", "To look at", "What to do")
    return TextTable(columns, tuple(rows), names=len(columns))
