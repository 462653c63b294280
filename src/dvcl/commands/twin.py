"""Train a method's supervised twin, and say what the unlabelled scans were worth."""

from __future__ import annotations

from collections.abc import Callable

from dvcl.commands.evaluate import evaluate_run
from dvcl.errors import InputError
from dvcl.evaluation.score_file import read_scores
from dvcl.evaluation.twin import compare_twins
from dvcl.files import write_text
from dvcl.methods import BASELINE, METHODS
from dvcl.report.differences import twin_report
from dvcl.report.tables import TextTable, to_markdown
from dvcl.resources import launch
from dvcl.studies.project import Progress
from dvcl.studies.run import Run, usable_device
from dvcl.studies.scored import SCORES

FILE = "twin.md"


def check_twin(method: str) -> None:
    """Refuse a twin where there is nothing to compare, or where one process is not alone.

    Raises:
        InputError: For a method that learns from labelled scans alone, and under torchrun.
    """
    if launch().world_size > 1:
        raise InputError(
            f"--twin: {launch().world_size} processes found, one was expected. Train {method} and "
            f"{BASELINE} under torchrun one after the other, then ask `dvcl compare --twin`, which "
            "does not train again what is there."
        )
    if method in METHODS and not METHODS[method].needs_unlabelled:
        raise InputError(
            f"--twin: {method} learns from labelled scans alone; a method that learns from "
            "unlabelled ones as well was expected, as `dvcl methods` lists them."
        )


def compare_with_twin(
    run: Run, twin: Run, device: str, bar: Callable[[str], Progress]
) -> tuple[str, TextTable]:
    """Score both on the test cases, as far as that has not been done, and write ``twin.md``.

    Args:
        run: Trained.
        twin: Supervised, trained on the same budget.
        device: Where to predict.
        bar: Makes a progress bar from its title.

    Returns:
        The answer in a sentence, and Dice and differences by organ.

    Raises:
        InputError: When there is no case to score.
    """
    scores = []
    for each in (run, twin):
        scored = each.folder / SCORES
        if not scored.exists() or scored.stat().st_mtime < each.checkpoint.stat().st_mtime:
            evaluate_run(each, device=usable_device(device), progress=bar(f"Scoring {each.method}"))
        scores.append([read_scores(scored)])
    answer, table = twin_report(compare_twins(*scores), run.method, BASELINE)
    write_text(run.folder / FILE, f"{answer}\n\n{to_markdown(table)}")
    return answer, table
