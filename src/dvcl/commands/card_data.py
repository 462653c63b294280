"""Chapters of a model card on what a run is for and what it learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dvcl.commands.card_claim import BY_YOU
from dvcl.commands.card_known import Known
from dvcl.errors import counted
from dvcl.inference.doubts import QUANTITIES
from dvcl.inference.seen import Seen
from dvcl.methods import METHODS
from dvcl.report.tables import TextTable
from dvcl.report.written import Chapter


def use_chapter(known: Known) -> Chapter:
    """Of the intended use."""
    organs = ", ".join(known.run.labels.organs)
    return Chapter(
        "Intended use",
        (
            f"Segments {organs} in {known.run.modality} scans like those that it was trained on, "
            "for research. These label maps are not for diagnosis or treatment: nobody has shown "
            "that they are safe for that.",
            f"Whom it is for, and for which question: {BY_YOU}.",
        ),
    )


def data_chapter(known: Known) -> Chapter:
    """Of scans and organs."""
    parts: list[str | TextTable] = [_counts(known)]
    if known.seen.numbers:
        parts.append(_scans(known.seen))
    if known.seen.organs:
        parts.append(_organs(known.seen))
    return Chapter(
        "Data",
        (*parts, f"Where the scans come from, consent, scanners, patients: {BY_YOU}."),
    )


def _counts(known: Known) -> TextTable:
    purposes = {
        "labelled": "trained on with their labels",
        "unlabelled": "trained on without labels"
        if METHODS[known.run.method].needs_unlabelled
        else "of the split; this method does not look at them",
        "validation": "chose the weights",
        "test": "only scored",
    }
    rows = tuple(
        (role, purposes[role], str(len(ids))) for role, ids in known.run.split.parts().items()
    )
    return TextTable(("Part", "Purpose", "Scans"), rows, names=2)


def _scans(seen: Seen) -> TextTable:
    """Middle and range of what was measured of the scans that were learned from."""
    rows = []
    for name, quantity in QUANTITIES.items():
        if values := seen.values(name):
            rows.append((f"{quantity.words}, {quantity.unit}", *_range(values)))
    return TextTable(
        ("Of the scans", "Median", "Least", "Most"),
        tuple(rows),
        f"{len(seen.numbers)} of the {seen.of} scans that it learned from were looked at.",
    )


def _organs(seen: Seen) -> TextTable:
    names = dict.fromkeys(name for organs in seen.organs for name in organs)
    rows = []
    for name in names:
        shown = seen.of_organ(name)
        rows.append((name, str(len(shown)), *_range([organ.volume_ml for organ in shown])))
    return TextTable(
        ("Organ", "Label maps", "Median ml", "Least", "Most"),
        tuple(rows),
        f"In {counted(len(seen.organs), 'label map')} that it learned from.",
    )


def _range(values: Sequence[float]) -> tuple[str, str, str]:
    middle, low, high = np.median(values), min(values), max(values)
    return f"{middle:.4g}", f"{low:.4g}", f"{high:.4g}"
