"""A method of dvcl for given processor seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from peers_job import Job, Trained

from dvcl.commands.pilot import step_seconds
from dvcl.commands.predict import predict_files
from dvcl.commands.train import make_run, train_run
from dvcl.recipe import Recipe
from dvcl.studies.members import Members

CPU = torch.device("cpu")


def train_dvcl(job: Job, method: str) -> Trained:
    """A method of dvcl with a recipe; the weights that validate best.

    Ramps and rates follow the number of steps, which a short run through the whole schedule says.
    """
    store = job.project.store(job.recipe)
    step = step_seconds(make_run(job.project, job.recipe, method, job.split), store, CPU)
    training = job.recipe.training
    steps = max(1, round(job.seconds / step))
    every = math.ceil(steps * training.validate_every / training.iterations)
    recipe = replace(job.recipe, training=replace(training, iterations=steps, validate_every=every))
    seconds = _train(job, method, recipe)
    return Trained(
        len(seconds), sum(seconds),
        {
            "patch": recipe.sampling.patch, "batch": recipe.sampling.labelled,
            "spacing": recipe.preprocessing.spacing_mm, "precision": recipe.training.precision,
            "recipe": recipe.name,
        },
    )  # fmt: skip


def _train(job: Job, method: str, recipe: Recipe) -> list[float]:
    """Train and predict; processor seconds of every step, without validation."""
    seconds: list[float] = []
    before = 0.0

    def observe(row: Mapping[str, Any]) -> None:
        nonlocal before
        now = time.process_time()
        if row["kind"] == "step":
            # Before the first step lies the reading of all cases.
            seconds.append(now - before if seconds else row["seconds"])
        print({key: row[key] for key in ("iteration", "terms", "mean_dice") if key in row})
        before = time.process_time()

    run = train_run(
        job.project, recipe, method, job.split,
        seed=job.seed, name=job.folder.name, device="cpu", observe=observe,
    )  # fmt: skip
    targets = {case.image: job.target(case) for case in job.cases("test")}
    predict_files(Members.of(run), targets, device=CPU)
    return seconds
