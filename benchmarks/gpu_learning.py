"""What `gpu.py` trains in the time that is left: supervised and dvcl on the head and neck."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gpu_parts import Form
from learning import find

from dvcl.commands.evaluate import evaluate_run
from dvcl.commands.pilot import step_seconds
from dvcl.commands.train import make_run, train_run
from dvcl.datasets.dataset import Dataset
from dvcl.datasets.phantom import make_phantom
from dvcl.evaluation.summary import summarise
from dvcl.recipe import load_recipe
from dvcl.splits import make_split
from dvcl.store import Store
from dvcl.studies.project import open_project, prepare
from dvcl.training.journal import read_journal

METHODS = ("supervised", "dvcl")
LABELLED, VALIDATIONS, MOST_STEPS = 4, 5, 20_000
SHARE_OF_STEPS = 0.8  # of a method's time; the rest validates and tests
# The paper's network, on grids that its five levels halve.
OF_THE_PAPER = ("network.levels=5", "network.base_channels=16", "network.dropout=0.3")
UNIT = 16
TINY = (
    "preprocessing.spacing_mm=[10.0, 10.0, 10.0]", "sampling.patch=[16, 16, 16]",
    "network.levels=2", "network.base_channels=2", "training.unlabelled_from=0.0",
    "window.size=[16, 16, 16]", "window.stride=[16, 16, 16]", "methods.dvcl.queue_size=512",
)  # fmt: skip


def learn(
    form: Form, data: Path, folder: Path, deadline: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """One row per method, each with as much of the time as the ones after it."""
    is_small = form.device.type != "cuda"
    name, changes = ("demo", TINY) if is_small else ("small-ct", OF_THE_PAPER)
    dataset = make_phantom(folder / "scans", 2, 2, 1, 1) if is_small else _headneck(data)
    prepare(folder / "work", dataset, name, changes=changes, workers=1 if is_small else None)
    project, recipe = open_project(folder / "work"), load_recipe(name, changes)
    labelled = None if is_small else LABELLED
    split = make_split(dataset, replace(recipe.split, labelled_cases=labelled))
    store = project.store(recipe)
    if not is_small:
        patch = _largest_patch(store, split.labelled)
        # Windows of another size than the patches show the network what it has not learned from.
        changes = (
            *changes, f"sampling.patch={patch}", f"window.size={patch}",
            f"window.stride={[side // 2 for side in patch]}",
        )  # fmt: skip
    for number, method in enumerate(METHODS):
        recipe = load_recipe(name, changes)
        run = make_run(project, recipe, method, split, name="gpu")
        seconds = (deadline - time.monotonic()) / (len(METHODS) - number) * SHARE_OF_STEPS
        steps = 4 if is_small else _steps(seconds, step_seconds(run, store, form.device))
        schedule = (
            f"training.iterations={steps}",
            f"training.validate_every={-(-steps // VALIDATIONS)}",
            f"training.warmup={min(recipe.training.warmup, steps // 5)}",
        )
        run = train_run(
            project, load_recipe(name, (*changes, *schedule)), method, split,
            name="gpu", device=form.device.type,
        )  # fmt: skip
        rows = [row for row in read_journal(run.journal) if row["kind"] == "step"]
        scores = summarise(evaluate_run(run, device=form.device))
        yield (
            method,
            {
                "steps": steps,
                "patch": "x".join(map(str, recipe.sampling.patch)),
                "test cases": scores.cases,
                "mean Dice": scores.mean_dice,
                "seconds a step": float(np.median([row["seconds"] for row in rows])),
                "waiting share": sum(row["waited"] for row in rows)
                / sum(row["seconds"] for row in rows),
            },
        )


def _headneck(data: Path) -> Dataset:
    return find(data.name, data.parent)


def _steps(seconds: float, of_one: float) -> int:
    return max(1, min(MOST_STEPS, int(seconds / of_one)))


def _largest_patch(store: Store, cases: tuple[str, ...]) -> list[int]:
    """The smallest labelled scan's sides, cut to what the network halves."""
    shapes = np.array([store.case(case).image.shape for case in cases])
    sides = np.maximum(shapes.min(0) // UNIT, 2) * UNIT
    return [int(side) for side in sides]
