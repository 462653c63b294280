"""Accepted masks as a folder for other trainings, marked as what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from dvcl.commands.pair_folder import new_folder, write_nnunet, write_plain
from dvcl.commands.sheet import Sheet
from dvcl.datasets.predicted import PSEUDO_LABELS
from dvcl.errors import InputError, counted
from dvcl.files import write_json, write_text

Form = Literal["plain", "nnunet"]

IN_USE = "Choose another folder with --export."

README = """# Pseudo-labels

The label maps here were predicted by networks; nobody has drawn or corrected them. They were
accepted because the networks agree as on validation cases whose masks are good, which is a guess.
Do not validate, test or report on them.

{about}

What made them, and the agreement of each: {record}.
"""


def export_accepted(sheet: Sheet, folder: Path, form: Form) -> int:
    """Write the accepted masks with their scans, and beside them that they are pseudo-labels.

    Args:
        sheet: With verdicts.
        folder: To be made.
        form: "plain" folders, or the raw layout of "nnunet".

    Returns:
        How many there are.

    Raises:
        InputError: When no mask is accepted, or the folder cannot be written.
    """
    run, accepted = sheet.members.first, sheet.accepted
    if not accepted:
        raise InputError(
            f"--export {folder}: none of {counted(len(sheet.rows), 'mask')} is accepted, so "
            f"nothing is written. {sheet.about}"
        )
    pairs = {row.opinion.scan: row.opinion.mask for row in accepted}
    with new_folder(folder) as partial:
        if form == "plain":
            write_plain(partial, pairs, run.labels)
        else:
            write_nnunet(partial, pairs, run.labels, run.modality)
        write_json(partial / PSEUDO_LABELS, pseudo_record(sheet))
        write_text(partial / "README.md", README.format(about=sheet.about, record=PSEUDO_LABELS))
    return len(accepted)


def pseudo_record(sheet: Sheet) -> dict[str, Any]:
    """What made the accepted masks, with which limits, as plain values."""
    facts = replace(sheet, rows=tuple(sheet.accepted)).to_json()
    return {"pseudo_labels": True, **facts}
