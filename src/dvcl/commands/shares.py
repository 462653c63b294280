"""Preparing many scans as jobs of Slurm, each with a share of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvcl.commands.console import console
from dvcl.errors import InputError
from dvcl.jobs.job import Job, program
from dvcl.jobs.side_by_side import run_jobs
from dvcl.jobs.slurm import require_slurm, start_submitted, wait_for_submitted
from dvcl.locks import folder_lock
from dvcl.store.building import Attempts, Workers, prepare_cases
from dvcl.store.shares import (
    read_problems,
    read_share,
    share_folder,
    write_problems,
    write_share,
)
from dvcl.store.task import CaseTask


@dataclass(frozen=True)
class Shares:
    """Prepares cases as jobs of Slurm; `build_store` takes it in the place of processes.

    Attributes:
        work: The study's folder.
        number: Of jobs, at most.
        options: Of sbatch.
        workers: Processes of each job; None has it choose.
    """

    work: Path
    number: int
    options: Sequence[str] = ()
    workers: int | None = None

    @property
    def _root(self) -> Path:
        return self.work.absolute() / "store"

    def wait(self) -> None:
        """Wait for jobs of an earlier call that are still at work."""
        wait_for_submitted(self._root / "shares" / "slurm", _say)

    def __call__(self, tasks: Sequence[CaseTask]) -> Attempts:
        """Have cases prepared; yields each with what is wrong with it.

        Raises:
            InputError: When a job did not come to its end.
        """
        if not tasks:
            return
        number = min(self.number, len(tasks))
        jobs = [self._job(i, number, tasks[i::number]) for i in range(number)]
        folder, name = self._root / "shares" / "slurm", f"prepare {self.work.name}"
        start = start_submitted(jobs, folder, name, self.options, tell=_say)
        failed = run_jobs(jobs, start, number, lambda _: None, _tell)
        if failed:
            raise InputError(
                [f"{title}: {reason}" for title, reason in failed.items()],
                "jobs ended before their work was done; finished cases are kept, and the same "
                "command goes on:",
            )
        for i in range(number):
            problems = read_problems(share_folder(self._root, i))
            yield from ((task, problems.get(task.case.id)) for task in tasks[i::number])

    def _job(self, i: int, number: int, tasks: Sequence[CaseTask]) -> Job:
        folder = share_folder(self._root, i)
        write_share(folder, tasks)
        workers = ("--workers", str(self.workers)) if self.workers else ()
        command = program("prepare-share", str(folder), *workers)
        title = f"prepare {self.work.name}, {i + 1} of {number}"
        return Job(title, (command,), folder / "log.txt", (folder,))


def workers_of(
    work: Path, processes: int | None, jobs: int | None, options: Sequence[str]
) -> Workers | None:
    """What prepares a study's scans: processes, or jobs, once those of an earlier call have ended.

    Raises:
        InputError: When there are options for jobs, but no jobs.
    """
    if jobs is None:
        require_slurm(options, False)
        return processes
    shares = Shares(work, jobs, options, processes)
    shares.wait()
    return shares


def prepare_share(folder: Path, workers: int | None = None) -> int:
    """Prepare the cases of one share that are not finished yet; returns how many it has.

    Raises:
        InputError: When another process works on it.
    """
    with folder_lock(folder):
        tasks = read_share(folder)
        errors: dict[str, InputError] = {}
        pending = []
        for task in tasks:
            try:
                pending += [] if task.is_finished() else [task]
            except InputError as error:
                errors[task.case.id] = error
        errors |= {task.case.id: error for task, error in prepare_cases(pending, workers) if error}
        write_problems(folder, errors)
    return len(tasks)


def _say(text: str) -> None:
    console.note(text)


def _tell(job: Job, reason: str) -> None:
    _say(f"{'failed' if reason else 'done'}: {job.title}")
