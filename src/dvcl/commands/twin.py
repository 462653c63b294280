"""Train a method's supervised twin, and say what the unlabelled scans were worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dvcl.commands.console import bars, console, training_bar
from dvcl.commands.evaluate import evaluate_run
from dvcl.commands.train import train_run
from dvcl.errors import InputError
from dvcl.evaluation.score_file import read_scores
from dvcl.evaluation.twin import compare_twins
from dvcl.files import write_text
from dvcl.methods import BASELINE, METHODS
from dvcl.recipe import Recipe
from dvcl.report.differences import twin_report
from dvcl.report.tables import TextTable, to_markdown, to_rich
from dvcl.resources import launch
from dvcl.splits import Split
from dvcl.studies.project import Progress, Project
from dvcl.studies.run import Run, usable_device
from dvcl.studies.scored import SCORES, is_scored

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


def train_and_tell(
    project: Project, recipe: Recipe, method: str, split: Split, *, twin: bool, **options: Any
) -> Run:
    """Train a method with a progress bar; with ``twin`` supervised as well, and compare them.

    Args:
        project: As the others, and ``options``, for `train_run`.
        recipe: All settings.
        method: A key of `METHODS`.
        split: Which case is for what.
        twin: Whether a twin is wanted.

    Returns:
        The method's run.

    Raises:
        InputError: As `check_twin` and `train_run`.
    """
    if twin:
        check_twin(method)
    runs: dict[str, Run] = {}
    for each in (method, BASELINE) if twin else (method,):
        with training_bar(f"Training {each}", recipe.training.iterations) as observe:
            runs[each] = train_run(
                project, recipe, each, split, observe=observe, tell=console.print, **options
            )
    if twin:
        with bars() as bar:
            answer, table = compare_with_twin(runs[method], runs[BASELINE], options["device"], bar)
        console.print(to_rich(table))
        console.print(answer, markup=False)
    return runs[method]


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
        if not is_scored(each):
            evaluate_run(each, device=usable_device(device), progress=bar(f"Scoring {each.method}"))
        scores.append([read_scores(each.folder / SCORES)])
    answer, table = twin_report(compare_twins(*scores), run.method, BASELINE)
    write_text(run.folder / FILE, f"{answer}\n\n{to_markdown(table)}")
    return answer, table
