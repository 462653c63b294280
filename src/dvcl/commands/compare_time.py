"""The runs of a comparison that are to take as long as each other: how many steps each gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from dvcl.commands.compare_options import Options
from dvcl.commands.console import bars
from dvcl.commands.fit import check_fit
from dvcl.commands.pilot import step_seconds
from dvcl.commands.train import make_run
from dvcl.comparison.equal_time import read_step_seconds, schedule, write_step_seconds
from dvcl.comparison.plan import Entry
from dvcl.comparison.records import RunRecord
from dvcl.files import sha256_of_json
from dvcl.methods import BASELINE
from dvcl.recipe import Recipe
from dvcl.studies.device import usable_device
from dvcl.studies.project import open_project

# Of a recipe, what the time of a step has nothing to do with.
UNTIMED = ("name", "about", "split", "window")
LENGTH = ("iterations", "validate_every")


def with_equal_time(
    entries: Sequence[Entry], options: Options, folder: Path, recorded: Iterable[RunRecord]
) -> list[Entry]:
    """The runs with schedules that take them as long as the baseline takes its steps.

    A step of every method is measured once, by a short run, and kept in ``folder``, so that the
    same call goes on with the same schedules, on another machine too. Recorded runs keep theirs.

    Args:
        entries: All runs.
        options: Of the comparison.
        folder: Of the comparison.
        recorded: Finished runs.

    Raises:
        InputError: When a run could not be trained.
    """
    known = {_place(record.entry): record.entry.schedule for record in recorded}
    measured = read_step_seconds(folder)
    found = []
    for entry in entries:
        if _place(entry) not in known:
            baseline = replace(entry, method=BASELINE)
            for each in (baseline, entry):
                if _what(each, options) not in measured:
                    measured[_what(each, options)] = _measure(each, options)
                    write_step_seconds(folder, measured)
            share = measured[_what(baseline, options)] / measured[_what(entry, options)]
            known[_place(entry)] = schedule(_recipe(entry, options).training, share)
        found.append(replace(entry, schedule=known[_place(entry)]))
    return found


def _measure(entry: Entry, options: Options) -> float:
    project, recipe = open_project(entry.study), _recipe(entry, options)
    split = options.divide(project, recipe, entry.labelled_cases)
    run = make_run(project, recipe, entry.method, split, name=entry.group)
    store = project.store(recipe)
    check_fit(run, run.build_method(), store)
    with bars() as bar:
        show = bar(f"A step of {entry.row}")
        device = usable_device(options.device)
        return step_seconds(run, store, device, lambda done, total: show(done, total, ""))


def _recipe(entry: Entry, options: Options) -> Recipe:
    changes = (*options.changes, *entry.varied)
    return open_project(entry.study).load_recipe(options.recipe, changes)


def _place(entry: Entry) -> tuple[str, str, str]:
    """Runs of all seeds have one schedule."""
    return entry.study.name, entry.group, entry.method


def _what(entry: Entry, options: Options) -> str:
    """What a step's time depends on, which is not how many cases are labelled."""
    recipe = _recipe(entry, options).to_json()
    settings = {key: value for key, value in recipe.items() if key not in UNTIMED}
    # A schedule is measured by its shape, whatever its length.
    settings["training"] = {k: v for k, v in settings["training"].items() if k not in LENGTH}
    settings["methods"] = settings["methods"].get(entry.method, {})
    settings["study"] = str(entry.study.absolute())
    return f"{entry.study.name}: {entry.row}, settings {sha256_of_json(settings)[:12]}"
