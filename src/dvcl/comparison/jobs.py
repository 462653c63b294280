"""Running commands of this program side by side: as processes here, or through Slurm."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from dvcl.errors import InputError
from dvcl.locks import holder_of, is_held, who_holds
from dvcl.resources import usable_cores

Arguments = Sequence[str]
LOG_LINES = 3


@dataclass(frozen=True)
class Job:
    """Commands to run one after another; the first that fails ends the job.

    Attributes:
        title: For people.
        commands: Arguments of `dvcl`.
        log: File that takes what they print.
        folders: Those that a process holds while it works on this job.
    """

    title: str
    commands: tuple[tuple[str, ...], ...]
    log: Path
    folders: tuple[Path, ...] = ()

    def reason(self) -> str:
        """The end of the log, where a failed command says why."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        told = [line for line in lines if line.startswith("error:")] or lines[-LOG_LINES:]
        return " ".join(" ".join(told[-LOG_LINES:]).split()) or "it left no message"


class Handle(ABC):
    """A job at work."""

    @abstractmethod
    def poll(self) -> int | None:
        """Exit code once it has ended."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to save and end, and wait for that."""


Start = Callable[[Job, int], Handle]  # job, and the place it takes among those at work


class _Process(Handle):
    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        self.commands = list(job.commands)
        self.environment = environment
        job.log.parent.mkdir(parents=True, exist_ok=True)
        self.log: TextIO = job.log.open("a", encoding="utf-8")
        self.process = self._next()

    def poll(self) -> int | None:
        code = self.process.poll()
        if code == 0 and self.commands:
            self.process = self._next()
            return None
        if code is not None:
            self.log.close()
        return code

    def stop(self) -> None:
        self.commands = []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()

    def _next(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command_line(self.commands.pop(0)), stdout=self.log, stderr=self.log,
            stdin=subprocess.DEVNULL, env=self.environment,
            # Ctrl-C reaches the parent alone, which then stops its jobs one by one.
            start_new_session=True,
        )  # fmt: skip


class _InTurn(Handle):
    """A job that begins when no other process works on it.

    A comparison that is killed outright leaves its jobs at work. They are waited for, and stopped
    with this one; then the job's own commands find how far they came.
    """

    def __init__(self, job: Job, start: Callable[[], Handle], waits: Callable[[str], None]) -> None:
        self.job, self.start, self.waits = job, start, waits
        self.handle: Handle | None = None
        self.told = False

    def poll(self) -> int | None:
        if self.handle is None:
            if self._is_held():
                return None
            self.handle = self.start()
        code = self.handle.poll()
        if code and self._is_held():
            # The other process was first.
            self.handle = None
            return None
        return code

    def stop(self) -> None:
        if self.handle is not None:
            self.handle.stop()
            return
        others = [other for folder in self.job.folders if (other := holder_of(folder))]
        here = [other["pid"] for other in others if other["host"] == socket.gethostname()]
        for pid in here:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while here and self._is_held():
            time.sleep(0.1)

    def _is_held(self) -> bool:
        held = [folder for folder in self.job.folders if is_held(folder)]
        if held and not self.told:
            self.told = True
            self.waits(
                f"{self.job.title}: {who_holds(held[0])} works on it already; waiting for it."
            )
        return bool(held)


def start_here(side_by_side: int, gpus: int) -> Start:
    """Processes on this machine, which share its cores, and take its GPUs in turn.

    A number of threads that is set already stays: on it depends how sums are rounded.
    """
    threads = max(1, usable_cores() // side_by_side)

    def start(job: Job, place: int) -> Handle:
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "NO_COLOR": "1"}
        if gpus > 1:
            environment["CUDA_VISIBLE_DEVICES"] = str(place % gpus)
        return _Process(job, environment)

    return start


class _Submitted(Handle):
    def __init__(self, job: Any) -> None:
        self.job = job

    def poll(self) -> int | None:
        if not self.job.done():
            return None
        error = self.job.exception()
        return 1 if error else int(self.job.result())

    def stop(self) -> None:
        # Slurm sends SIGTERM, upon which a training saves; its job is not waited for.
        self.job.cancel()


def start_submitted(folder: Path, cluster: str, options: dict[str, Any]) -> Start:
    """Jobs of Slurm (or, to try it out, of submitit's local stand-in).

    Args:
        folder: For submitit's own files.
        cluster: "slurm" or "local".
        options: Of submitit's executor, as ``timeout_min`` or ``slurm_partition``.

    Raises:
        InputError: When submitit is not installed or does not take the options.
    """
    try:
        import submitit  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise InputError(
            "--slurm: submitit is not installed; `pip install dvcl[slurm]` installs it."
        ) from error
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
        executor.update_parameters(**options)
    except (NameError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"--slurm: {error}".replace("\n", " ")) from error

    def start(job: Job, _: int) -> Handle:
        return _Submitted(executor.submit(run_in_turn, job))

    return start


def run_in_turn(job: Job) -> int:
    """Run a job's commands here and now; the exit code of the first that fails, or 0."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as log:
        for command in job.commands:
            done = subprocess.run(command_line(command), stdout=log, stderr=log, check=False)
            if done.returncode:
                return done.returncode
    return 0


def command_line(arguments: Arguments) -> list[str]:
    """`dvcl` with these arguments, by the Python that runs this."""
    return [sys.executable, "-m", "dvcl.cli", *arguments]


def run_jobs(
    jobs: Sequence[Job],
    start: Start,
    side_by_side: int,
    watch: Callable[[Sequence[Job]], None],
    ended: Callable[[Job, str], None] = lambda job, reason: None,
    waits: Callable[[str], None] = lambda told: None,
    pause_s: float = 1.0,
) -> dict[str, str]:
    """Run all jobs, so many at once; one that fails does not stop the others.

    Args:
        jobs: In the order in which to start them.
        start: From `start_here` or `start_submitted`.
        side_by_side: How many at once.
        watch: Called about every ``pause_s`` seconds with the jobs at work.
        ended: Called with every job that has ended, and why it failed, "" if it did not.
        waits: Called with a sentence about a job that a process of an earlier call works on.
        pause_s: Between two looks.

    Returns:
        Title and reason of the failed ones. When this is interrupted, jobs at work are stopped.
    """
    waiting, failed = list(jobs), dict[str, str]()
    side_by_side = min(side_by_side, len(waiting))
    with _stopped_at_the_end() as working:
        while waiting or working:
            places = set(range(side_by_side)) - set(working)
            while waiting and places:
                job, place = waiting.pop(0), places.pop()
                working[place] = (job, _InTurn(job, partial(start, job, place), waits))
            for place, (job, handle) in list(working.items()):
                code = handle.poll()
                if code is not None:
                    del working[place]
                    reason = f"exit code {code}: {job.reason()} ({job.log})" if code else ""
                    failed |= {job.title: reason} if code else {}
                    ended(job, reason)
            watch([job for job, _ in working.values()])
            time.sleep(pause_s if working else 0)
    return failed


@contextmanager
def _stopped_at_the_end() -> Iterator[dict[int, tuple[Job, Handle]]]:
    working: dict[int, tuple[Job, Handle]] = {}
    try:
        yield working
    finally:
        for _, handle in working.values():
            handle.stop()
