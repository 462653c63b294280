"""The runs that a comparison lacks: found, and then trained and scored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
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
from dvcl.recipe import Recipe
from dvcl.studies.project import Project, open_project
from dvcl.studies.run import Run
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
    (console.warn if reason else console.note)(f"{'failed' if reason else 'done'}: {job.title}")


def planned_runs(entries: Sequence[Entry], options: Options) -> dict[Entry, Run]:
    """The run behind every entry; runs that differ in their seeds alone are looked at once.

    Raises:
        InputError: With everything that would stop one of them.
    """
    projects = {study: open_project(study) for study in {entry.study for entry in entries}}
    load = cache(lambda study, changes: projects[study].load_recipe(options.recipe, changes))
    alike: dict[Entry, list[Entry]] = {}
    for entry in entries:
        alike.setdefault(replace(entry, seed=0), []).append(entry)
    runs: dict[Entry, Run] = {}
    problems: dict[str, None] = {}
    for first, members in alike.items():
        project = projects[first.study]
        with _noted(problems):
            recipe = load(first.study, (*options.changes, *first.changes))
            run = _fitting_run(project, recipe, first, options)
            for entry in members:
                folder = project.run_folder(entry.group, entry.method, entry.seed)
                runs[entry] = replace(run, seed=entry.seed, folder=folder)
                with _noted(problems):
                    runs[entry].is_recorded()
    _refuse(problems)
    return {entry: runs[entry] for entry in entries}


@contextmanager
def _noted(problems: dict[str, None]) -> Iterator[None]:
    """Go on after an error; runs of several seeds have the same mistake, and it is noted once."""
    try:
        yield
    except InputError as error:
        # A heading says which folder is meant and what to do.
        told = [f"{error.heading} {'; '.join(error.problems)}"] if error.heading else error.problems
        problems |= dict.fromkeys(told)


def _refuse(problems: Mapping[str, None]) -> None:
    if problems:
        raise InputError(list(problems), "this comparison cannot be made:")


def _fitting_run(project: Project, recipe: Recipe, entry: Entry, options: Options) -> Run:
    split = options.divide(project, recipe, entry.labelled_cases)
    run = make_run(project, recipe, entry.method, split, seed=entry.seed, name=entry.group)
    check_fit(run, run.build_method(), project.store(recipe))
    return run


def missing_runs(runs: Mapping[Entry, Run], recorded: Collection[str]) -> dict[Entry, int]:
    """The runs that are neither finished nor recorded by their hash, and their steps.

    Raises:
        InputError: With every run whose state or weights are damaged.
    """
    steps: dict[Entry, int] = {}
    problems: dict[str, None] = {}
    for entry, run in runs.items():
        with _noted(problems):
            is_finished = run.is_recorded() and is_scored(run, as_usual=True)
            if not is_finished and sha256_of_json(run.settings) not in recorded:
                steps[entry] = run.recipe.training.iterations
    _refuse(problems)
    return steps


def scored_cases(runs: Mapping[Entry, Run]) -> dict[str, int]:
    """On how many cases the runs of each label will be scored."""
    splits = {entry.label: run.split for entry, run in runs.items()}
    return {label: len(split.test or split.validation) for label, split in splits.items()}


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
