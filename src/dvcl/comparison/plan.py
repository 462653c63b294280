"""What a comparison consists of: its runs, where each is kept, and how far it is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dvcl.errors import InputError
from dvcl.files import folder_name
from dvcl.training.journal import last_iteration

Equal = Literal["steps", "time"]
EQUAL_TIME = "equal time"


@dataclass(frozen=True)
class Entry:
    """One run: trained, then scored on its test cases.

    Attributes:
        study: The study's folder.
        method: Name of the method.
        seed: Of the run.
        labelled_cases: As for `make_split`.
        varied: The settings in which the run's variant differs, as "key=value".
        group: What they have in common, in words; names their folder.
        schedule: Settings that give this run as much time as the others, as "key=value"; none
            where all runs take equal steps.
    """

    study: Path
    method: str
    seed: int
    labelled_cases: int | None = None
    varied: tuple[str, ...] = ()
    group: str = ""
    schedule: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """All settings in which the run differs from the comparison's."""
        return (*self.varied, *self.schedule)

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.study / "runs" / folder_name(self.group) / self.method / f"seed-{self.seed}"

    @property
    def label(self) -> str:
        """Of the runs that can be compared: the same data, labelled cases and settings."""
        return f"{self.study.name}: {self.group}"

    @property
    def base(self) -> str:
        """Label of the runs with the settings as they are, of which this may be a variant."""
        return self.label.removesuffix("".join(f", {part}" for part in changed(self.varied)))

    @property
    def row(self) -> str:
        """Of a table of variants, as "dvcl (neighbours=5)"."""
        return f"{self.method} ({', '.join(changed(self.varied))})" if self.varied else self.method

    @property
    def run_name(self) -> str:
        """Within them."""
        return self.method if not self.seed else f"{self.method}, seed {self.seed}"

    @property
    def title(self) -> str:
        """For people, unique within a comparison."""
        return f"{self.label}, {self.method}, seed {self.seed}"

    def iterations_done(self) -> int:
        """Steps in the run's journal."""
        return last_iteration(self.folder / "journal.jsonl")


def plan(
    studies: Sequence[Path],
    methods: Sequence[str],
    seeds: Sequence[int],
    labelled_cases: Sequence[int | None],
    vary: Mapping[str, Sequence[str]],
    name: str,
    equal: Equal = "steps",
) -> list[Entry]:
    """All runs of a comparison, so ordered that what is done first can be compared first.

    Args:
        studies: Prepared studies.
        methods: Their names.
        seeds: Of each method.
        labelled_cases: Numbers of labelled cases; None keeps all.
        vary: Setting -> values to try; all combinations.
        name: Where the settings are as they are; variants add to it.
        equal: What all runs have as much of; the schedules of equal time are set afterwards.

    Raises:
        InputError: When a list is empty or holds something twice.
    """
    check_lists(
        {
            "studies": studies,
            "methods": methods,
            "seeds": seeds,
            "labelled cases": labelled_cases,
            **vary,
        }
    )
    variants = [
        tuple(f"{key}={value}" for key, value in zip(vary, values, strict=True))
        for values in itertools.product(*vary.values())
    ]
    return [
        Entry(study, method, seed, number, varied, group_name(name, number, varied, equal))
        for seed in seeds
        for study in studies
        for number in labelled_cases
        for varied in variants
        for method in methods
    ]


def check_lists(lists: Mapping[str, Sequence[object]]) -> None:
    """Refuse lists that are empty or hold something twice.

    Raises:
        InputError: With all of them.
    """
    problems = [
        f"{what}: {list(values)} found; at least one was expected, and each only once."
        for what, values in lists.items()
        if not values or len(set(values)) < len(values)
    ]
    if problems:
        raise InputError(problems, "this comparison cannot be made:")


def changed(varied: Sequence[str]) -> list[str]:
    """Such as ["neighbours=5"]; the last part of a key tells it apart. Fit for a folder's name."""
    pairs = (change.partition("=") for change in varied)
    return [f"{key.rpartition('.')[2]}={value}".replace("/", "-") for key, _, value in pairs]


def group_name(
    name: str, labelled_cases: int | None, varied: Sequence[str], equal: Equal = "steps"
) -> str:
    """Such as "small-ct, 4 labelled, neighbours=5"."""
    labelled = [] if labelled_cases is None else [f"{labelled_cases} labelled"]
    time = [EQUAL_TIME] if equal == "time" else []
    return ", ".join([name, *labelled, *time, *changed(varied)]).replace("/", "-")
