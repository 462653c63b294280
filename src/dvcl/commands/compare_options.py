"""What `dvcl compare` is asked for: which runs, and how to run them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from dvcl.commands.console import console
from dvcl.comparison.choice import UNCHOSEN, Chosen
from dvcl.comparison.plan import Entry, Equal, plan
from dvcl.comparison.table_plan import plan_table
from dvcl.errors import InputError
from dvcl.jobs.here import start_here
from dvcl.jobs.job import Command, Job, Start, program
from dvcl.jobs.slurm import require_slurm, start_submitted
from dvcl.methods import METHODS, baselines
from dvcl.paper.tables import paper_table
from dvcl.recipe import Recipe
from dvcl.splits import Split
from dvcl.studies.divide import divide, with_division
from dvcl.studies.project import Project, open_project

# With the controls: what one network and what two have from the labels alone.
DEFAULT_METHODS = "supervised,supervised_pair,cps,dvcl"


@dataclass(frozen=True)
class Options:
    """What is to be compared, and how to run it; the options of `dvcl compare`."""

    methods: str | None
    seeds: Sequence[int]
    labelled_cases: Sequence[int] = ()
    vary: Sequence[str] = ()
    twin: bool = False
    equal: Equal = "steps"
    table: str | None = None
    name: str | None = None
    recipe: str | None = None
    changes: tuple[str, ...] = ()
    validation_share: float | None = None
    test_share: float | None = None
    split_seed: int | None = None
    jobs: int | None = None
    gpus_per_run: int | None = None
    slurm: bool = False
    slurm_options: Sequence[str] = ()
    device: str = "auto"
    recorded: Sequence[Path] = ()
    shown: Chosen = UNCHOSEN

    def __post_init__(self) -> None:
        require_slurm(self.slurm_options, self.slurm)

    def method_names(self) -> list[str]:
        """In the order asked for; where a twin is wanted, the baselines that lack come first."""
        methods = self.methods or DEFAULT_METHODS
        asked = [name.strip() for name in methods.split(",")]
        names = list(METHODS) if asked == ["all"] else asked
        if not self.twin:
            return names
        wanted = {twin for name in names if name in METHODS for twin in baselines(name)}
        return [name for name in METHODS if name in wanted and name not in names] + names

    def plan(self, studies: Sequence[Path], name: str) -> list[Entry]:
        """All runs.

        Raises:
            InputError: When the options do not go together, or leave nothing to run.
        """
        numbers: Sequence[int | None] = self.labelled_cases or [None]
        if self.table is None:
            vary = parse_varied(self.vary)
            methods = self.method_names()
            return plan(studies, methods, self.seeds, numbers, vary, name, self.equal)
        if self.methods or self.vary or self.twin:
            raise InputError(
                f"--table {self.table}: found with --methods, --vary or --twin; expected without, "
                "as the table says which runs it has. Leave out one or the other."
            )
        table = paper_table(self.table)
        recipes = {
            study: open_project(study).load_recipe(self.recipe, self.changes) for study in studies
        }
        return plan_table(table, recipes, self.seeds, numbers, name, self.equal)

    def divide(self, project: Project, recipe: Recipe, labelled_cases: int | None) -> Split:
        """As `dvcl train` does with the same options."""
        given = {
            "seed": self.split_seed, "labelled_cases": labelled_cases,
            "validation_share": self.validation_share, "test_share": self.test_share,
        }  # fmt: skip
        return divide(project, with_division(recipe, given))

    def commands(self, entry: Entry) -> tuple[Command, Command]:
        """Train a run, then score it."""
        score = program("evaluate", str(entry.folder.absolute()), "--last", "--device", self.device)
        return program(*self.training(entry), processes=self.gpus_per_run or 1), score

    def training(self, entry: Entry) -> tuple[str, ...]:
        """Arguments of `dvcl` that train a run."""
        changes = (f"--set={change}" for change in (*self.changes, *entry.changes))
        optional = {
            "--recipe": self.recipe, "--labelled-cases": entry.labelled_cases,
            "--validation-share": self.validation_share, "--test-share": self.test_share,
            "--split-seed": self.split_seed,
        }  # fmt: skip
        return (
            "train", str(entry.study.absolute()), "--method", entry.method,
            "--seed", str(entry.seed), "--name", entry.group, "--device", self.device,
            *(word for option in optional.items() if option[1] is not None
              for word in map(str, option)),
            *changes,
        )  # fmt: skip

    def start(self, jobs: Sequence[Job], folder: Path) -> Start:
        """How to run jobs.

        Args:
            jobs: All of them.
            folder: Of the comparison's logs.
        """
        tell = partial(console.print, markup=False)
        if not self.slurm:
            gpus = visible_gpus(self.device)
            return start_here(self.jobs or 1, gpus, self.gpus_per_run or 1, tell)
        words = [*self._gpus_asked(), *self.slurm_options]
        name = folder.parent.name
        return start_submitted(jobs, folder / "slurm", name, words, self.jobs, tell)

    def _gpus_asked(self) -> list[str]:
        """What sbatch is to be told of GPUs, unless a person does."""
        told = any(option.startswith("gpus") or "gpu:" in option for option in self.slurm_options)
        return (
            []
            if told or self.device == "cpu" or not self.gpus_per_run
            else [f"gres=gpu:{self.gpus_per_run}"]
        )


def visible_gpus(device: str) -> int:
    """GPUs among which runs can be shared out."""
    return torch.cuda.device_count() if device in ("auto", "cuda") else 0


def parse_numbers(option: str, text: str | None) -> list[int]:
    """Whole numbers with commas between them; none without a text."""
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise InputError(
            f"{option}: {text!r} found; whole numbers were expected, as 0,1,2."
        ) from error


def parse_varied(options: Sequence[str]) -> dict[str, list[str]]:
    """A setting and its values from each "key=value,value"; lists in brackets stay whole."""
    varied = {}
    for option in options:
        key, sign, values = option.partition("=")
        if not sign or not values:
            raise InputError(
                f"--vary {option!r}: a setting and its values were expected, as "
                "methods.dvcl.neighbours=5,10,20."
            )
        varied[key] = re.split(r",(?![^\[]*\])", values)
    return varied
