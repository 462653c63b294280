"""Jobs handed to Slurm, all at once; those of an earlier call that are still there are found."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dvcl.errors import InputError, counted_are
from dvcl.jobs.job import Handle, Job, Start
from dvcl.jobs.queue import LOOK_EVERY_S, Place, Queue, State, ask_slurm
from dvcl.jobs.submission import SCRIPT, exit_file, read_submission, write_submission

# A training saves within a step or a validation; it is told so long before its time is up.
NOTICE_S = 120

# A file that was written elsewhere may take so long to appear on a network file system.
PATIENCE_S = 60.0

# Options of sbatch on which it rests that jobs are found again.
OURS = ("array", "output", "parsable", "wrap")


def start_submitted(
    jobs: Sequence[Job],
    folder: Path,
    name: str,
    options: Sequence[str] = (),
    at_once: int | None = None,
    tell: Callable[[str], None] = lambda told: None,
) -> Start:
    """Submit all jobs that Slurm does not have yet, as one array.

    Args:
        jobs: To be done.
        folder: For submissions, which the machines of the cluster share.
        name: Of the jobs until they run; then each takes its title.
        options: Of sbatch, as "partition=gpu" or "exclusive".
        at_once: How many of the submitted ones may run at the same time; None leaves it to Slurm.
        tell: Called with sentences for people.

    Raises:
        InputError: When Slurm is not there or refuses, or has a job for something else that
            writes into the same place.
    """
    folder = folder.absolute()
    words = [_option(text) for text in options]
    queue = Queue(tell)
    places = _find(jobs, folder, queue)
    if places:
        tell(f"{counted_are(len(places), 'job')} in Slurm already.")
    missing = [job for job in jobs if job not in places]
    if missing:
        made, id = _submit(missing, folder, name, words, at_once)
        places |= {job: (made, number) for number, job in enumerate(missing)}
        queue.look()
        tell(f"{counted_are(len(missing), 'job')} submitted; `scancel {id}` would stop all.")
    tell("This command may end before its jobs: given again, it finds them.")
    return lambda job, _: _Submitted(job, places[job], queue)


def wait_for_submitted(folder: Path, tell: Callable[[str], None]) -> None:
    """Wait until no job of an earlier call is at work."""
    queue = Queue(tell)
    at_work = _at_work(queue, folder.absolute())
    if at_work:
        ids = ", ".join(state.id for state in at_work.values())
        tell(f"Jobs of an earlier call are at work ({ids}); waiting for them.")
    while _at_work(queue, folder.absolute()):
        time.sleep(LOOK_EVERY_S)
        queue.look()


def require_slurm(options: Sequence[str], is_asked: bool) -> None:
    """Refuse options of sbatch where nothing is submitted.

    Raises:
        InputError: Names the first one.
    """
    if options and not is_asked:
        raise InputError(
            f"--slurm-option {options[0]}: found without --slurm, which submits jobs; expected "
            "with it. Add --slurm, or leave the option out."
        )


class _Submitted(Handle):
    def __init__(self, job: Job, place: Place, queue: Queue) -> None:
        self.job, self.place, self.queue = job, place, queue
        self.state = queue.find(place)
        self.gone_since: float | None = None

    def poll(self) -> int | None:
        """The exit code; None while the job is at work, or has been gone for a moment only."""
        before, found = self.state, self.queue.find(self.place)
        self.state = found or before
        if found and found.is_at_work:
            self.gone_since = None
            if before and found.is_queued and not before.is_queued:
                self.queue.tell(f"{self.job.title}: queued again ({found.reason}).")
            return None
        file = exit_file(*self.place)
        if file.exists():
            return int(file.read_text(encoding="utf-8"))
        self.gone_since = self.gone_since or time.monotonic()
        if time.monotonic() - self.gone_since < PATIENCE_S:
            return None
        self._explain()
        return 1

    def stop(self) -> None:
        # It stays in Slurm, where the next call finds it.
        pass

    @property
    def is_queued(self) -> bool:
        return self.state is not None and self.state.is_queued

    def _explain(self) -> None:
        """Note in the job's log how Slurm ended it, as the job could not."""
        what = f"job {self.state.id}, last seen {self.state.name}" if self.state else "unknown job"
        folder, number = self.place
        self.job.log.parent.mkdir(parents=True, exist_ok=True)
        with self.job.log.open("a", encoding="utf-8") as log:
            log.write(f"error: Slurm ended it ({what}); its own words: {folder}/{number}.txt\n")


def _find(jobs: Sequence[Job], folder: Path, queue: Queue) -> dict[Job, Place]:
    """Places of those among the jobs that an earlier call has submitted and that are at work."""
    wanted = {job.title: job for job in jobs}
    at_work = _at_work(queue, folder)
    submitted = {made: read_submission(made) for made, _ in at_work}
    found = {}
    for (made, number), state in at_work.items():
        there = submitted[made][number]
        job = wanted.get(there.title)
        if job and job != there:
            raise InputError(
                f"--slurm: job {state.id} found in Slurm for {job.title!r}, with other settings "
                f"({made}/jobs.json). Wait for it, or end it (scancel {state.id}); then run the "
                "same command again."
            )
        if job:
            found[job] = (made, number)
    return found


def _at_work(queue: Queue, folder: Path) -> dict[Place, State]:
    return {
        place: state
        for place, state in queue.jobs.items()
        if place[0].parent == folder and state.is_at_work
    }


def _submit(
    jobs: Sequence[Job], folder: Path, name: str, options: Sequence[str], at_once: int | None
) -> tuple[Path, str]:
    """The folder and the id of a new array."""
    made = write_submission(folder, jobs)
    limit = f"%{at_once}" if at_once else ""
    try:
        told = ask_slurm(
            "sbatch", "--parsable", "--requeue", f"--signal=B:USR1@{NOTICE_S}",
            "--open-mode=append", f"--job-name={name}", *options,
            f"--array=0-{len(jobs) - 1}{limit}", f"--output={str(made).replace('%', '%%')}/%a.txt",
            str(made / SCRIPT),
        )  # fmt: skip
    except InputError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    # "id", or "id;cluster".
    return made, told.strip().partition(";")[0]


def _option(text: str) -> str:
    if text.partition("=")[0] in OURS or text.startswith("-"):
        raise InputError(
            f"--slurm-option {text!r}: a long option of sbatch was expected, without the dashes, "
            f"as partition=gpu; but none of {', '.join(OURS)}, which are used already."
        )
    return f"--{text}"
