"""A model card: what a run learned from, how, how well it does, and what it is not for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dvcl.commands.card_checklist import claim_chapter
from dvcl.commands.card_data import data_chapter, use_chapter
from dvcl.commands.card_known import Known, gather
from dvcl.commands.card_scores import doubts_chapter, limits_chapter, scores_chapter
from dvcl.commands.card_training import training_chapter
from dvcl.errors import InputError, counted
from dvcl.report.written import Chapter, write_document
from dvcl.studies.run import Run

NAME = "model-card.md"
CHAPTERS: tuple[Callable[[Known], Chapter], ...] = (
    use_chapter, data_chapter, training_chapter, scores_chapter, doubts_chapter, limits_chapter,
    claim_chapter,
)  # fmt: skip


def write_card(run: Run, folder: Path) -> Path:
    """Write ``model-card.md`` and ``.html``; they name no case, no patient and no folder.

    Returns:
        The page.

    Raises:
        InputError: When the run has no weights, or one of its records is damaged.
    """
    if not run.checkpoint.exists():
        raise InputError(
            f"{run.folder}: has no weights ({run.checkpoint.name}) yet, so there is nothing to "
            "describe. Train it first."
        )
    known = gather(run)
    chapters = [make(known) for make in CHAPTERS]
    title = f"{counted(run.labels.classes - 1, 'organ')} in {run.modality}: {run.method}"
    return write_document(folder / NAME, title, chapters)
