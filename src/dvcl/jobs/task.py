"""What Slurm runs: the commands of one job in turn; queued again when they were asked to stop.

Slurm signals a job before its time is up, when others need its machine, and when somebody wants
it gone. A training then saves and ends. In the first case Slurm leaves it at that, so the job asks
to be queued again; in the others Slurm itself has it queued again, or ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from dvcl.errors import InputError
from dvcl.files import write_text
from dvcl.jobs.job import Command, Job
from dvcl.jobs.queue import ask_slurm
from dvcl.jobs.submission import exit_file, read_submission
from dvcl.locks import is_held, who_holds

STOPPED = 128 + signal.SIGTERM


class Task:
    """One job at work on this machine.

    Attributes:
        asked: Whether it is to end.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.asked = False
        self.process: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self._receive)

    def run(self) -> int:
        """Run the commands; the exit code of the first that fails, or 0."""
        self.job.log.parent.mkdir(parents=True, exist_ok=True)
        self._wait_for_others()
        for command in self.job.commands:
            code = STOPPED if self.asked else self._run(command)
            if code:
                return code
        return 0

    def _run(self, command: Command) -> int:
        with self.job.log.open("a", encoding="utf-8") as log:
            environment = os.environ | {"NO_COLOR": "1"}
            self.process = subprocess.Popen(
                [sys.executable, *command], stdout=log, stderr=log, env=environment
            )
            if self.asked:
                self.process.terminate()
            return self.process.wait()

    def _wait_for_others(self) -> None:
        """A machine that has died may hold a folder until the file system notices."""
        told = False
        while not self.asked and (held := [f for f in self.job.folders if is_held(f)]):
            if not told:
                _say(f"{held[0]}: {who_holds(held[0])} works in it; waiting for it.")
            told = True
            time.sleep(1)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.asked = True
        if self.process:
            # Slurm may have told it already; to be told twice does no harm.
            self.process.terminate()


def main(folder: Path, number: int) -> int:
    """Run job ``number`` of a submission; its exit code."""
    job, file = read_submission(folder)[number], exit_file(folder, number)
    # The number of the job alone may mean the whole array.
    id = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{number}"
    file.unlink(missing_ok=True)
    task = Task(job)
    try:
        ask_slurm("scontrol", "update", f"JobId={id}", f"JobName={job.title}")
    except InputError as error:
        _say(f"It keeps its name ({error}).")
    code = task.run()
    if code and task.asked and _is_taken_care_of(id):
        return code
    write_text(file, f"{code}\n")
    return code


def _is_taken_care_of(id: str) -> bool:
    """Have a job that was asked to stop queued again, unless Slurm does that, or ends it."""
    try:
        if ask_slurm("squeue", f"--jobs={id}", "--noheader", "--format=%T").strip() == "RUNNING":
            ask_slurm("scontrol", "requeue", id)
        return True
    except InputError as error:
        _say(f"It cannot be queued again ({error}).")
        return False


def _say(text: str) -> None:
    # Into the file of Slurm's own words.
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
