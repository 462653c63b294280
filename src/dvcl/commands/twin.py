"""Train a method's supervised twins, and say what the unlabelled scans were worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dvcl.commands.console import bars, console, training_bar
from dvcl.commands.evaluate import evaluate_run
from dvcl.commands.fit import doubts_of_fit
from dvcl.commands.train import finished_before, make_run, train_run
from dvcl.errors import InputError
from dvcl.evaluation.score_file import read_scores
from dvcl.evaluation.twin import compare_twins
from dvcl.files import write_text
from dvcl.methods import METHODS, baselines
from dvcl.recipe import Recipe
from dvcl.report.differences import twin_report
from dvcl.report.tables import TextTable, to_markdown, to_rich
from dvcl.resources import launch
from dvcl.splits import Split, scored_part
from dvcl.studies.device import usable_device
from dvcl.studies.project import Progress, Project
from dvcl.studies.run import Run
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
            "its baselines under torchrun one after the other, then ask `dvcl compare --twin`, "
            "which does not train again what is there."
        )
    if method in METHODS and not METHODS[method].needs_unlabelled:
        raise InputError(
            f"--twin: {method} learns from labelled scans alone; a method that learns from "
            "unlabelled ones as well was expected, as `dvcl methods` lists them."
        )


def train_and_tell(
    project: Project, recipe: Recipe, method: str, split: Split, *, twin: bool, **options: Any
) -> Run:
    """Train a method with a progress bar; with ``twin`` its baselines as well, and compare them.

    What was trained is told of every run, or that it was finished before.

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
    methods = [method]
    if twin:
        check_twin(method)
        methods += baselines(method)
        _check_folders(project, recipe, methods, split, options)
        console.note(f"To be trained: {', '.join(methods)}.")
    given = {key: options[key] for key in ("seed", "name", "source") if key in options}
    before = {each: finished_before(project, recipe, each, **given) for each in methods}
    # What is finished is mended by no other settings.
    for doubt in () if all(before.values()) else doubts_of_fit(recipe):
        console.warn(doubt)
    runs: dict[str, Run] = {}
    for each in methods:
        with training_bar(f"Training {each}", recipe.training.iterations) as observe:
            runs[each] = train_run(
                project, recipe, each, split, observe=observe, tell=console.warn, **options
            )
        console.print(before[each] or f"Trained: {runs[each].folder}", markup=False)
    if twin:
        with bars() as bar:
            found = compare_with_twins(list(runs.values()), options["device"], bar)
        for answer, table in found:
            console.print(to_rich(table))
            console.print(answer, markup=False)
    return runs[method]


def _check_folders(
    project: Project,
    recipe: Recipe,
    methods: Sequence[str],
    split: Split,
    options: Mapping[str, Any],
) -> None:
    """Refuse a folder that holds another run before the first is trained, not after.

    Raises:
        InputError: With all of them.
    """
    problems: list[str] = []
    for method in methods:
        given = {key: options[key] for key in ("seed", "name", "source") if key in options}
        try:
            make_run(project, recipe, method, split, **given).is_recorded()
        except InputError as error:
            problems += [str(error)]
    if problems:
        raise InputError(problems, "--twin: nothing was trained:")


def compare_with_twins(
    runs: Sequence[Run], device: str, bar: Callable[[str], Progress]
) -> list[tuple[str, TextTable]]:
    """Score all as far as that has not been done, and write ``twin.md``.

    Args:
        runs: The method's, then those of the baselines, trained on the same budget.
        device: Where to predict.
        bar: Makes a progress bar from its title.

    Returns:
        For each baseline the answer in a sentence, and Dice and differences by organ.

    Raises:
        InputError: When there is no case to score.
    """
    scores = []
    for each in runs:
        if not is_scored(each, as_usual=True):
            evaluate_run(each, device=usable_device(device), progress=bar(f"Scoring {each.method}"))
        scores.append([read_scores(each.folder / SCORES)])
    (run, *twins), (ours, *theirs) = runs, scores
    part = scored_part((score.case for score in ours[0]), run.split.test)
    found = [
        twin_report(compare_twins(ours, other), run.method, twin.method, part)
        for twin, other in zip(twins, theirs, strict=True)
    ]
    parts = [f"{answer}\n\n{to_markdown(table)}" for answer, table in found]
    write_text(run.folder / FILE, "\n".join(parts))
    return found
