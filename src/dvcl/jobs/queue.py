"""What Slurm says of this user's jobs, by squeue alone: accounting is not needed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dvcl.errors import InputError
from dvcl.jobs.submission import SCRIPT

# Slurm's controller serves everybody.
LOOK_EVERY_S = 10.0

# Squeue shows an ended job for some minutes. All other states end by themselves, some of them by
# running again.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
FIELDS = "%i|%K|%T|%r|%o"


class State(NamedTuple):
    """Of one job.

    Attributes:
        id: As scancel takes it.
        name: Slurm's word, as "RUNNING".
        reason: Why it waits, in Slurm's words.
    """

    id: str
    name: str
    reason: str

    @property
    def is_at_work(self) -> bool:
        """Whether it runs, or will without anybody's doing."""
        return self.name not in ENDED

    @property
    def is_queued(self) -> bool:
        """Whether it waits for a machine."""
        return self.name in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")


Place = tuple[Path, int]  # folder of a submission, and number of the job


class Queue:
    """Jobs of submissions, by their places; looked at anew no more often than `LOOK_EVERY_S`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.jobs = _look()
        self.looked = time.monotonic()
        self.silent = False

    def find(self, place: Place) -> State | None:
        """The state of a job; None for one that Slurm does not know, or no longer."""
        if time.monotonic() - self.looked > LOOK_EVERY_S:
            self.look()
        return self.jobs.get(place)

    def look(self) -> None:
        """Ask Slurm. While it does not answer, all is taken to be as it was."""
        try:
            self.jobs, self.silent = _look(), False
        except InputError as error:
            if not self.silent:
                self.tell(f"{error} Asking again.")
            self.silent = True
        self.looked = time.monotonic()


def ask_slurm(*words: str) -> str:
    """What a command of Slurm prints.

    Raises:
        InputError: When there is no such command here, or it refuses.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise InputError(
            f"--slurm: {words[0]} was not found; run this where Slurm's commands are installed, or "
            "leave out --slurm."
        ) from error
    if done.returncode:
        told = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise InputError(f"--slurm: {told}")
    return done.stdout


def _look() -> dict[Place, State]:
    told = ask_slurm(
        "squeue", f"--user={os.getuid()}", "--states=all", "--array", "--noheader",
        f"--format={FIELDS}",
    )  # fmt: skip
    found = {}
    for line in told.splitlines():
        job, number, name, reason, command = line.split("|", maxsplit=4)
        script = Path(command)
        if script.name == SCRIPT and number.isdecimal():
            found[script.parent, int(number)] = State(job, name, reason)
    return found
