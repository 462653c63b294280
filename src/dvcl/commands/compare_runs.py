"""The runs that a comparison lacks: found, and then trained and scored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvcl.commands.compare_options import Options
from dvcl.commands.console import console, step_bars
from dvcl.commands.fit import check_fit
from dvcl.commands.train import make_run
from dvcl.comparison.plan import Entry
from dvcl.errors import InputError
from dvcl.files import sha256_of_json
from dvcl.jobs.job import Job
from dvcl.jobs.side_by_side import run_jobs
from dvcl.locks import folder_lock
from dvcl.studies.project import open_project
from dvcl.studies.scored import is_scored


def run_comparison(steps: Mapping[Entry, int], options: Options, logs: Path) -> dict[str, str]:
    """Train and score runs, several at once.

    Args:
        steps: Runs, and how many steps each takes in all.
        options: How.
        logs: Folder for what they print, and for the lock that keeps a second comparison out.

    Returns:
        Title and reason of the runs that failed.
    """
    jobs = {}
    for entry in steps:
        log = logs.absolute() / f"{entry.title.replace(': ', ', ')}.txt"
        folder = entry.folder.absolute()
        held = folder, folder / "predictions"
        jobs[Job(entry.title, options.commands(entry), log, held)] = entry
    with folder_lock(logs), _progress(steps) as show:
        side_by_side = len(jobs) if options.slurm else options.jobs or 1
        return run_jobs(
            [*jobs], options.start([*jobs], logs), side_by_side,
            lambda working: show([jobs[job] for job in working]), _tell,
        )  # fmt: skip


def _tell(job: Job, reason: str) -> None:
    console.print(f"{'failed' if reason else 'done'}: {job.title}", markup=False)


def missing_runs(
    entries: Sequence[Entry], options: Options, recorded: Collection[str]
) -> dict[Entry, int]:
    """The runs that are neither finished nor recorded by their hash, and their steps.

    Raises:
        InputError: With everything that would stop one of them.
    """
    projects = {entry.study: open_project(entry.study) for entry in entries}
    steps: dict[Entry, int] = {}
    problems: dict[str, None] = {}
    for entry in entries:
        project = projects[entry.study]
        try:
            recipe = project.load_recipe(options.recipe, (*options.changes, *entry.changes))
            split = options.divide(project, recipe, entry.labelled_cases)
            run = make_run(project, recipe, entry.method, split, seed=entry.seed, name=entry.group)
            check_fit(run, run.build_method(), project.store(recipe))
            is_finished = run.is_recorded() and is_scored(run, as_usual=True)
            if not is_finished and sha256_of_json(run.settings) not in recorded:
                steps[entry] = recipe.training.iterations
        except InputError as error:
            # The same mistake of every seed is told once.
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise InputError(list(problems), "this comparison cannot be made:")
    return steps


def scored_cases(entries: Sequence[Entry], options: Options) -> dict[str, int]:
    """On how many cases the runs of each label will be scored.

    Raises:
        InputError: When a data set cannot be divided as the options say.
    """
    found = {}
    for entry in {entry.label: entry for entry in entries}.values():
        project = open_project(entry.study)
        recipe = project.load_recipe(options.recipe, (*options.changes, *entry.changes))
        split = options.divide(project, recipe, entry.labelled_cases)
        found[entry.label] = len(split.test or split.validation)
    return found


@contextmanager
def _progress(
    todo: Mapping[Entry, int],
) -> Iterator[Callable[[Sequence[Entry]], None]]:
    """One bar for all steps of all runs, one for every run at work."""
    done = {entry: entry.iterations_done() for entry in todo}
    with step_bars("All runs", sum(todo.values()), sum(done.values())) as show:

        def update(working: Sequence[Entry]) -> None:
            done.update((entry, entry.iterations_done()) for entry in working)
            steps = {entry.title: (done[entry], todo[entry]) for entry in working}
            show(sum(done.values()), steps)

        yield update
