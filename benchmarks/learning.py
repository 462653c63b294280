"""What is learned in a number of processor seconds, on validation cases, by which settings.

    python benchmarks/learning.py demo --work DIR --seconds 45 --set training.rate=0.3
    python benchmarks/learning.py headneck --data DIR --work DIR --seconds 300 --seeds 0,1

Tasks: `demo` (the phantom of `dvcl demo`, 4 labelled patients, 8 for validation), `headneck` and
`hippocampus` (DIR holds headneck/ in plain folders and hippocampus/ in nnU-Net's raw layout; as
many labelled cases as --labelled says, all other labelled ones that are not for testing validate).
Nothing is chosen by test cases.

One thread; the number of steps is set from a short run through the whole schedule beforehand, or by
--steps where methods are to be held against each other at equal steps; the schedule's end is the
end of the budget. Validation is not counted, and the last weights are
scored, or their average; --curve 10 scores ten times on the way. Every run is appended to --out as
one JSON line; a run that the file has is not made again. `speed_table.py` makes a table of them.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from dvcl.commands.fit import check_fit
from dvcl.commands.pilot import STEPS, step_seconds
from dvcl.commands.sources import find_dataset
from dvcl.commands.train import make_run, make_sampler
from dvcl.commands.validation import make_validation
from dvcl.datasets.dataset import Dataset
from dvcl.datasets.phantom import make_phantom
from dvcl.recipe import Recipe, load_recipe
from dvcl.resources import processor_name
from dvcl.splits import Split, make_split
from dvcl.store import Store
from dvcl.studies.project import Project, open_project, prepare
from dvcl.studies.run import Run
from dvcl.training.engine import Validate, train
from dvcl.training.journal import Row
from dvcl.training.optimisation import Training
from dvcl.training.precision import faster_precision

CPU = torch.device("cpu")
RECIPES = {"demo": "demo", "headneck": "small-ct", "hippocampus": "small-mr"}
LABELLED = {"demo": 4, "headneck": 4, "hippocampus": 5}
VALIDATION = 8  # phantom patients; the other tasks take the labelled cases that are left
MOST_VALIDATION = 20


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=RECIPES)
    parser.add_argument("--work", type=Path, required=True, help="for prepared cases")
    parser.add_argument("--data", type=Path, help="folder of headneck/ and hippocampus/")
    parser.add_argument("--out", type=Path, default=Path("learning.jsonl"))
    parser.add_argument("--method", default="supervised")
    parser.add_argument("--recipe", help="another recipe than the task's")
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--steps", type=int, help="this many in the place of --seconds")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--labelled", type=int)
    parser.add_argument("--curve", type=int, default=1, help="scores of a run, evenly over it")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--name", default="", help="of the settings, in the table")
    return parser.parse_args()


def open_task(chosen: argparse.Namespace, recipe: Recipe) -> tuple[Project, Split]:
    """Prepared data of a task, and which case is for what."""
    labelled = chosen.labelled or LABELLED[chosen.task]
    folder = chosen.work / f"{chosen.task}-{recipe.name}"
    if chosen.task == "demo":
        dataset = make_phantom(chosen.work / "phantom", max(labelled, 4), 20, VALIDATION, 0)
    else:
        dataset = find(chosen.task, chosen.data)
    prepare(folder, dataset, chosen.recipe or RECIPES[chosen.task], changes=tuple(chosen.set))
    division = replace(recipe.split, labelled_cases=labelled)
    if chosen.task == "hippocampus":
        # The test cases of `peers_learning.py`, which nothing may be chosen by.
        division = replace(division, test_share=40 / 130, validation_share=10 / 130)
    split = make_split(dataset, division)
    known = {case.id for case in dataset.cases if case.label}
    more = [case for case in split.unlabelled if case in known]
    return open_project(folder), replace(
        split,
        validation=tuple(sorted([*split.validation, *more])[:MOST_VALIDATION]),
        unlabelled=tuple(case for case in split.unlabelled if case not in known)
        or tuple(more[MOST_VALIDATION:]),
    )


def find(task: str, data: Path) -> Dataset:
    folder = data / task
    if (folder / "dataset.json").exists():
        return find_dataset(data=folder)
    return find_dataset(
        folder / "labelled",
        [folder / "unlabelled"],
        folder / "val",
        folder / "test",
        folder / "labels.json",
    )


def timed(
    run: Run, store: Store, settings: Training, validate: Validate
) -> list[tuple[float, Row]]:
    """Train from the beginning; the journal's rows, each with the processor's seconds so far."""
    rows: list[tuple[float, Row]] = []
    method, began = run.build_method(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        train(
            method, make_sampler(run, method, store), settings, Path(folder), device=CPU,
            seed=run.seed, validate=validate,
            observe=lambda row: rows.append((time.process_time() - began, row)),
        )  # fmt: skip
    return rows


def learn(
    run: Run, project: Project, recipe: Recipe, seconds: float, steps: int | None, scores: int
) -> dict[str, Any]:
    """Train for a budget, scoring the weights of some steps, the last ones among them."""
    store = project.store(recipe)
    store.preload([case for ids in run.split.parts().values() for case in ids])
    check_fit(run, run.build_method(), store)
    asked = recipe.training.precision
    precision = faster_precision(CPU) if asked == "auto" else asked
    settings = replace(recipe.training, precision=precision)
    steps = steps or max(STEPS, round(seconds / step_seconds(run, store, CPU)))
    warmup = min(settings.warmup, steps // 5)
    settings = replace(
        settings, iterations=steps, validate_every=math.ceil(steps / scores), warmup=warmup
    )
    rows = timed(run, store, settings, make_validation(run, store, CPU))
    curve, validation, before = [], 0.0, 0.0
    for now, row in rows:
        if row["kind"] == "validation":
            curve.append((round(before - validation, 1), round(100 * row["mean_dice"], 2)))
            validation += now - before
        before = now
    organs = rows[-1][1]["dice"]
    return {
        "steps": steps,
        "used_s": curve[-1][0],
        "dice": curve[-1][1],
        "curve": curve,
        "organs": {organ: round(100 * value, 1) for organ, value in organs.items()},
        "precision": precision,
    }


def commit() -> str:
    """Of the checkout, short; empty where there is none."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    chosen = options()
    torch.set_num_threads(1)
    recipe = load_recipe(chosen.recipe or RECIPES[chosen.task], tuple(chosen.set))
    project, split = open_task(chosen, recipe)
    known = chosen.out.read_text().splitlines() if chosen.out.exists() else []
    done = [json.loads(line) for line in known]
    for seed in map(int, chosen.seeds.split(",")):
        what = {
            "task": chosen.task, "method": chosen.method, "name": chosen.name,
            "seconds": chosen.seconds, "seed": seed, "labelled": len(split.labelled),
            "set": chosen.set, "asked_steps": chosen.steps,
        }  # fmt: skip
        if any(all(row.get(key) == value for key, value in what.items()) for row in done):
            continue
        run = make_run(project, recipe, chosen.method, split, seed=seed)
        row = {**what, **learn(run, project, recipe, chosen.seconds, chosen.steps, chosen.curve)}
        row |= {"date": str(date.today()), "machine": processor_name(), "commit": commit()}
        with chosen.out.open("a") as file:
            file.write(f"{json.dumps(row)}\n")
        print(f"{row['dice']:6.2f}  {row['steps']:5d} steps  {row['used_s']:6.1f} s  "
              f"{chosen.task} {chosen.method} seed {seed} {chosen.name} {' '.join(chosen.set)}",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
