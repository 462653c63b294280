"""What is learned in as many processor seconds: nnU-Net, a MONAI network, and methods of dvcl.

Claim: after 300 and after 900 seconds of one core, `supervised` has a higher mean Dice than nnU-Net
and than MONAI's BasicUNet on either task, and `dvcl` than all of them.

    python benchmarks/peers_learning.py DIR --out rows.jsonl
    python benchmarks/peers_learning.py DIR --out rows.jsonl --task headneck --who monai

The first line runs all, for hours; `--task`, `--who` and `--seconds` choose rows.

DIR holds hippocampus/ (nnU-Net's raw layout) and headneck/ (labelled, unlabelled, val, test). All
learn from the same labelled cases and are scored on the same test cases, on the scans' own voxels,
by the same code. Each row is trained in a process of its own with one thread on one core, and is
appended to the file as soon as it is measured; rows that the file has are not run again, and the
table shows what it has. Prediction, preparation and validation are not counted.

nnU-Net plans, prepares and augments as it does, in float32 (on a CPU it knows nothing else), in
this one process; it keeps its last weights. MONAI and dvcl keep those with the best validation.
Without `--mirroring` neither peer flips: the tasks tell left from right and front from back, and
who knows nnU-Net takes its trainer without mirroring there. `--memory-gb` lets nnU-Net plan for
another GPU than its usual one: less means smaller patches, and more steps. `--bfloat16` runs MONAI
under autocast. Peers may want an environment of their own (PYTHONPATH=src OTHER/bin/python ...).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from measuring import in_fresh_process
from peers_dvcl import train_dvcl
from peers_job import Job, Trained
from peers_monai import train_monai
from peers_nnunet import train_nnunet

from dvcl.commands.sources import find_dataset
from dvcl.datasets.dataset import Dataset
from dvcl.evaluation.cases import evaluate_case
from dvcl.evaluation.summary import summarise
from dvcl.methods import METHODS
from dvcl.recipe import Recipe
from dvcl.resources import processor_name
from dvcl.splits import Split
from dvcl.studies.divide import divide, with_division
from dvcl.studies.project import Project, open_project, prepare
from dvcl.volume import read_label

Row = dict[str, Any]

# Of a row: what makes it another experiment than the others.
KEY = ("task", "who", "budget_s", "seed")
SECONDS = (300, 900)
PEERS: dict[str, Callable[[Job], Trained]] = {"nnunet": train_nnunet, "monai": train_monai}
WHO = (*PEERS, "supervised", "dvcl")


@dataclass(frozen=True)
class Task:
    """A data set, how few of its scans are labelled, and MONAI's patch and voxels, (x, y, z)."""

    recipe: str
    labelled: int
    shares: Mapping[str, float]
    patch: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    def dataset(self, folder: Path) -> Dataset:
        if (folder / "dataset.json").exists():
            return find_dataset(data=folder)
        parts = [folder / name for name in ("labelled", "val", "test", "labels.json")]
        labelled, validation, test, labels = parts
        return find_dataset(labelled, [folder / "unlabelled"], validation, test, labels)

    def split(self, project: Project, recipe: Recipe) -> Split:
        """What `dvcl train --labelled-cases` takes, by the seed 0."""
        given = {"labelled_cases": self.labelled, "seed": 0, **self.shares}
        return divide(project, with_division(recipe, given))


# MONAI's voxels and patches: those of the small scans; for the large ones the best on validation of
# three after 150 seconds, the others being finer voxels and patches of 32.
TASKS = {
    "hippocampus": Task(
        "small-mr", 5, {"test_share": 40 / 130, "validation_share": 10 / 130},
        (32, 48, 32), (1.0, 1.0, 1.0),
    ),
    "headneck": Task("small-ct", 4, {}, (48, 48, 48), (5.0, 5.0, 5.0)),
}  # fmt: skip


def measure(task: str, who: str, seconds: float, asked: argparse.Namespace, work: Path) -> Row:
    """Train in a fresh process and score."""
    project = _prepared(TASKS[task], asked.data / task, work / task)
    recipe = project.load_recipe()
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    job = Job(
        project, recipe, TASKS[task].split(project, recipe), seconds, asked.seed,
        (work / f"{task}-{who}-{seconds:g}-{stamp}").absolute(),
        TASKS[task].patch, TASKS[task].spacing_mm,
        asked.mirroring, asked.bfloat16, asked.memory_gb,
    )  # fmt: skip
    trained: Trained = in_fresh_process(run_job, job, who, gives_back=False)
    organs, mean = _scores(job)
    return {
        "task": task,
        "who": _title(who, asked),
        "budget_s": seconds,
        "seed": asked.seed,
        "mean_dice": round(100 * mean, 2),
        "dice": {organ: round(100 * value, 2) for organ, value in organs.items()},
        "steps": trained.steps,
        "measured_s": round(trained.seconds, 1),
        "cases": {part: len(ids) for part, ids in job.split.parts().items()},
        "settings": dict(trained.settings),
        "date": str(date.today()),
        "machine": processor_name(),
        "load": round(os.getloadavg()[0], 1),
        "commit": _commit(),
        **{name: _version(name) for name in ("torch", "nnunetv2", "monai")},
    }


def _prepared(task: Task, data: Path, folder: Path) -> Project:
    """The study, prepared with the recipe as it is now."""
    prepare(folder, task.dataset(data), task.recipe, workers=1)
    return open_project(folder)


def _scores(job: Job) -> tuple[dict[str, float], float]:
    """Dice of every organ over the test cases, and their mean."""
    labels = job.project.dataset.labels
    scores = []
    for case in job.cases("test"):
        assert case.label is not None
        scores += evaluate_case(
            case.id, read_label(case.label), read_label(job.target(case)), labels
        )
    summary = summarise(scores)
    return {organ.organ: organ.dice.mean for organ in summary.organs}, summary.mean_dice


def _title(who: str, asked: argparse.Namespace) -> str:
    """The row's name; options that a trainer does not know are no part of it."""
    parts = [who]
    if who in PEERS and asked.mirroring:
        parts.append("mirroring")
    if who == "nnunet" and asked.memory_gb:
        parts.append(f"planned for {asked.memory_gb:g} GB")
    if who == "monai" and asked.bfloat16:
        parts.append("bfloat16")
    return ", ".join(parts)


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def read_rows(path: Path) -> list[Row]:
    """All rows of the file, none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def markdown(rows: Sequence[Row]) -> str:
    """One table per task: a line for each trainer, Dice and steps for each budget."""
    tables = []
    for task in dict.fromkeys(row["task"] for row in rows):
        here = [row for row in rows if row["task"] == task]
        budgets = sorted({row["budget_s"] for row in here})
        header = [
            f"{task}, {here[-1]['cases']['labelled']} labelled",
            *(f"Dice, {budget:g} s" for budget in budgets),
            *(f"steps (seconds measured), {budget:g} s" for budget in budgets),
        ]
        lines = [header, [":--", *["--:"] * (len(header) - 1)]]
        for who in sorted({row["who"] for row in here}, key=_place):
            mine = [
                [row for row in here if (row["who"], row["budget_s"]) == (who, budget)]
                for budget in budgets
            ]
            lines.append([who, *map(_dice, mine), *map(_steps, mine)])
        tables.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(tables)


def _place(who: str) -> tuple[int, str]:
    """Peers first."""
    return WHO.index(who.partition(",")[0]) if who.partition(",")[0] in WHO else len(WHO), who


def _dice(rows: Sequence[Row]) -> str:
    """Mean over seeds, and how many there are."""
    if not rows:
        return ""
    mean = f"{statistics.mean(row['mean_dice'] for row in rows):.1f}"
    return mean if len(rows) == 1 else f"{mean} ({len(rows)} seeds)"


def _steps(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    steps, seconds = (
        statistics.mean(row[name] for row in rows) for name in ("steps", "measured_s")
    )
    return f"{steps:.0f} ({seconds:.0f})"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with hippocampus/ and headneck/")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, added to")
    parser.add_argument("--task", choices=TASKS, nargs="+", default=[*TASKS])
    parser.add_argument("--who", choices=[*PEERS, *METHODS], nargs="+", default=[*WHO])
    parser.add_argument("--seconds", type=float, nargs="+", default=[*SECONDS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mirroring", action="store_true", help="flips for nnU-Net and MONAI")
    parser.add_argument("--bfloat16", action="store_true", help="autocast for MONAI")
    parser.add_argument("--memory-gb", type=float, help="that nnU-Net plans for; its own choice")
    parser.add_argument("--core", type=int, help="pinned to this one; the last that is allowed")
    parser.add_argument("--work", type=Path, help="kept folder; else a temporary one")
    parser.add_argument("--table", action="store_true", help="train nothing, show the table")
    return parser.parse_args()


def pin(core: int | None) -> None:
    """One core and one thread, for this process and those that it starts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if core is None else core})
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def run_missing(asked: argparse.Namespace, work: Path) -> None:
    """Measure what the file lacks, row by row."""
    for task, seconds, who in itertools.product(asked.task, asked.seconds, asked.who):
        key = (task, _title(who, asked), seconds, asked.seed)
        if key in {tuple(row[name] for name in KEY) for row in read_rows(asked.out)}:
            continue
        row = measure(task, who, seconds, asked, work)
        with asked.out.open("a") as file:
            file.write(f"{json.dumps(row)}\n")
        print(json.dumps(row), flush=True)


def run_job(job: Job, who: str) -> Trained:
    """Train and predict with one thread; what the trainer prints goes to log.txt of the folder."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    (job.folder / "predictions").mkdir(parents=True)
    log = (job.folder / "log.txt").open("w", buffering=1)
    with log, contextlib.redirect_stdout(log):
        return PEERS[who](job) if who in PEERS else train_dvcl(job, who)


def main() -> None:
    asked = options()
    pin(asked.core)
    if not asked.table:
        with tempfile.TemporaryDirectory() as made:
            run_missing(asked, asked.work or Path(made))
    print(markdown(read_rows(asked.out)))


if __name__ == "__main__":
    main()
