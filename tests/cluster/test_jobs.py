"""Jobs on a real cluster: whatever Slurm does to them, they end as if it had not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dvcl.errors import InputError
from dvcl.jobs.job import Job
from dvcl.jobs.side_by_side import run_jobs
from dvcl.jobs.slurm import start_submitted

# Behaves as a training: saves when it is asked to end; where it was started before, it goes on.
TRAINING = """
import pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def save(*_):
    (place / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
if not (place / "started").exists():
    (place / "started").touch()
    time.sleep(250)
(place / "done").touch()
"""


def training(folder: Path, title: str = "a study, 4 labelled: cps, seed 0") -> Job:
    return Job(title, (("-c", TRAINING, str(folder)),), folder / "log.txt", (folder / "run",))


def follow(
    jobs: list[Job], folder: Path, meanwhile: Callable[[str], None] | None = None, options=()
) -> tuple[dict[str, str], list[str]]:
    """Submit and wait; once the first job has started, call ``meanwhile`` with its id."""
    said: list[str] = []
    start = start_submitted(jobs, folder / "slurm", "comparison", options, tell=said.append)
    left = [meanwhile] if meanwhile else []

    def watch(_: object) -> None:
        if left and (folder / "started").exists():
            left.pop()(id_of(jobs[0]))

    return run_jobs(jobs, start, len(jobs), watch, pause_s=0.1), said


def id_of(job: Job) -> str:
    lines = slurm("squeue", "--array", "--noheader", "--format=%i|%j").splitlines()
    return next(line.partition("|")[0] for line in lines if line.endswith(f"|{job.title}"))


def slurm(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("scontrol requeue {id}", ()),
        ("scancel --batch --signal=USR1 {id}", ()),
        ("sbatch --partition=urgent --exclusive --output=/dev/null --wrap=true", ()),
        ("sbatch --partition=urgent --exclusive --output=/dev/null --wrap=true",
         ("partition=graceful",)),
        ("true", ("time=2", "signal=B:USR1@50")),
    ],
    ids=["requeued", "warned", "preempted", "preempted-gracefully", "time-is-up"],
)  # fmt: skip
def test_a_job_that_loses_its_machine_saves_and_goes_on(cluster, tmp_path, what, options):
    failed, said = follow(
        [training(tmp_path)], tmp_path, lambda id: slurm(*what.format(id=id).split()), options
    )
    assert failed == {}
    assert [line for line in said if "seed 0: queued again" in line]
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "done").exists()


def test_a_killed_node_is_noticed_and_its_job_goes_on_when_it_is_back(cluster, tmp_path):
    job, said = training(tmp_path), []
    start = start_submitted([job], tmp_path / "slurm", "comparison", tell=said.append)
    left = [cluster.start_node, cluster.kill_node]

    def watch(_: object) -> None:
        ready = (tmp_path / "started").exists(), any("queued again" in line for line in said)
        if left and ready[len(left) == 1]:
            left.pop()()

    assert run_jobs([job], start, 1, watch, pause_s=0.1) == {}
    assert not left
    assert not (tmp_path / "saved").exists()
    assert (tmp_path / "done").exists()


def test_a_cancelled_job_has_failed(cluster, tmp_path):
    job = training(tmp_path)
    failed, _ = follow([job], tmp_path, lambda id: slurm("scancel", id))
    assert (tmp_path / "saved").exists()
    assert "Slurm ended it (job " in failed[job.title]
    assert "CANCELLED" in failed[job.title]


def test_a_failed_job_says_why_and_stops_no_other(cluster, tmp_path):
    bad = Job("bad", (("-c", "import sys; sys.exit('error: no disk')"),), tmp_path / "bad.txt")
    good = Job("good", (("-c", "print('first')"), ("-c", "print('second')")), tmp_path / "good.txt")
    failed, said = follow([bad, good], tmp_path)
    assert failed == {"bad": f"exit code 1: error: no disk ({tmp_path}/bad.txt)"}
    assert good.log.read_text().split() == ["first", "second"]
    assert said[0].startswith("2 jobs are submitted; `scancel ")


def test_no_more_run_at_once_than_asked_for(cluster, tmp_path):
    seen = []
    jobs = [Job(str(n), (("-c", "import time; time.sleep(1)"),), tmp_path / "log") for n in "abc"]
    start = start_submitted(jobs, tmp_path / "slurm", "comparison", at_once=1)

    def watch(working: object) -> None:
        seen.append(slurm("squeue", "--noheader", "--states=RUNNING", "--format=%i").split())

    assert run_jobs(jobs, start, 3, watch, pause_s=0.1) == {}
    assert max(map(len, seen)) == 1


def test_jobs_carry_their_titles_and_are_found_again(cluster, tmp_path):
    job, others = training(tmp_path), []

    def call_again(id: str) -> None:
        others.append(id)
        # Another call, as after the first one was killed: the same job, and no second one.
        start_submitted([job], tmp_path / "slurm", "comparison", tell=others.append)
        other = Job(job.title, (("-c", "print('other')"),), job.log)
        with pytest.raises(InputError, match=rf"job {id} found in Slurm for .* other settings"):
            start_submitted([other], tmp_path / "slurm", "comparison")
        slurm("scontrol", "requeue", id)

    failed, _ = follow([job], tmp_path, call_again)
    assert failed == {}
    id, already, may_end = others
    assert id.endswith("_0")
    assert already == "1 job is in Slurm already."
    assert "given again, it finds them" in may_end
    assert [path.name for path in (tmp_path / "slurm").iterdir()] == ["1"]


def test_a_controller_that_does_not_answer_is_asked_again(cluster, tmp_path):
    job, said = training(tmp_path), []
    start = start_submitted([job], tmp_path / "slurm", "comparison", tell=said.append)
    left = [lambda: (cluster.start_controller(), slurm_when_up(job)), cluster.stop_controller]

    def watch(_: object) -> None:
        ready = (tmp_path / "started").exists(), any("Asking again" in line for line in said)
        if left and ready[len(left) == 1]:
            left.pop()()

    assert run_jobs([job], start, 1, watch, pause_s=0.1) == {}
    assert len([line for line in said if "Asking again" in line]) == 1
    assert (tmp_path / "done").exists()


def slurm_when_up(job: Job) -> None:
    slurm("scontrol", "requeue", id_of(job))


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("partition=none", "invalid partition specified: none"),
        ("slurm_partition=gpu", "unrecognized option '--slurm_partition=gpu'"),
        ("array=0-3", "a long option of sbatch was expected"),
        ("--time=3", "a long option of sbatch was expected"),
    ],
)
def test_what_sbatch_does_not_take_is_refused(cluster, tmp_path, option, told):
    with pytest.raises(InputError, match=told):
        follow([training(tmp_path)], tmp_path, options=[option])
    assert [*tmp_path.glob("slurm/*")] == []
