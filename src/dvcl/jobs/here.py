"""Jobs as processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TextIO

from dvcl.jobs.job import Handle, Job, Start
from dvcl.locks import holder_of, is_held, who_holds
from dvcl.resources import usable_cores


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
            [sys.executable, *self.commands.pop(0)], stdout=self.log, stderr=self.log,
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


def start_here(
    side_by_side: int,
    gpus: int,
    gpus_per_run: int = 1,
    waits: Callable[[str], None] = lambda told: None,
) -> Start:
    """Processes on this machine, which share its cores, and take its GPUs in turn.

    A number of threads that is set already stays: on it depends how sums are rounded.

    Args:
        side_by_side: Jobs at work at once.
        gpus: Of this machine.
        gpus_per_run: That each job sees, where there are several.
        waits: Called with a sentence about a job that a process of an earlier call works on.
    """
    threads = max(1, usable_cores() // (side_by_side * gpus_per_run))
    shares = max(1, gpus // gpus_per_run)

    def start(job: Job, place: int) -> Handle:
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "NO_COLOR": "1"}
        if gpus > 1:
            first = place % shares * gpus_per_run
            numbers = range(first, min(first + gpus_per_run, gpus))
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, numbers))
        return _InTurn(job, partial(_Process, job, environment), waits)

    return start
