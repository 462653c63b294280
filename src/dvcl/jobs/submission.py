"""A folder of jobs that Slurm was given at once, as one array; the machines of a cluster share it.

``jobs.json`` has the jobs, ``job.sh`` is what Slurm runs, ``0.txt`` takes Slurm's own words about
job 0, and ``0.code`` has its exit code, once it has ended by itself.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

from dvcl.files import write_json, write_text
from dvcl.jobs.job import Job
from dvcl.records import Name, read_record

SCRIPT = "job.sh"

# Python takes the place of the shell, so that Slurm's signals reach it. One that comes before it
# listens is not to end it.
SHELL = """#!/bin/sh
trap '' USR1 USR2
exec {} "$SLURM_ARRAY_TASK_ID"
"""


class JobRecord(TypedDict):
    """A job in jobs.json."""

    title: Name
    commands: list[list[str]]
    log: Name
    folders: list[str]


def write_submission(folder: Path, jobs: Sequence[Job]) -> Path:
    """Write jobs into a new, numbered folder within ``folder``; returns the new one."""
    numbers = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    made = folder / str(max(numbers, default=0) + 1)
    records = [asdict(job) | {"log": str(job.log), "folders": [*map(str, job.folders)]}
               for job in jobs]  # fmt: skip
    write_json(made / "jobs.json", records)
    task = shlex.join([sys.executable, "-m", "dvcl.jobs.task", str(made)])
    write_text(made / SCRIPT, SHELL.format(task))
    return made


def read_submission(folder: Path) -> list[Job]:
    """The jobs of a folder, in the order of their numbers.

    Raises:
        InputError: When the record is missing or damaged.
    """
    remedy = "Remove the folder; jobs of it that Slurm still has are ended by scancel."
    with read_record(folder / "jobs.json", list[JobRecord], remedy) as records:
        return [
            Job(
                record["title"],
                tuple(map(tuple, record["commands"])),
                Path(record["log"]),
                tuple(map(Path, record["folders"])),
            )
            for record in records
        ]


def exit_file(folder: Path, number: int) -> Path:
    """Where job ``number`` leaves its exit code."""
    return folder / f"{number}.code"
