"""What is asked of Slurm, and how its answers are taken; stand-ins for its commands."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dvcl.errors import InputError
from dvcl.jobs import queue, slurm
from dvcl.jobs.job import Job, program
from dvcl.jobs.side_by_side import run_jobs
from dvcl.jobs.slurm import require_slurm, start_submitted, wait_for_submitted
from dvcl.jobs.submission import exit_file, read_submission, write_submission

# Each notes how it was called, and prints what a file named after it says; without one it fails.
STAND_IN = """#!/bin/sh
echo "$@" >> {folder}/$(basename $0).calls
cat {folder}/$(basename $0).says 2>/dev/null || {{ echo "no controller" >&2; exit 1; }}
"""


class Slurm:
    def __init__(self, folder):
        self.folder = folder

    def say(self, command, text=None):
        file = self.folder / f"{command}.says"
        file.unlink() if text is None else file.write_text(text)

    def calls(self, command):
        file = self.folder / f"{command}.calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def stand_in(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("sbatch", "squeue", "scontrol"):
        (folder / name).write_text(STAND_IN.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(queue, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(slurm, "PATIENCE_S", 0.2)
    made = Slurm(folder)
    made.say("squeue", "")
    made.say("sbatch", "7\n")
    made.say("scontrol", "")
    return made


def job(folder, title="a", code="pass"):
    return Job(title, (("-c", code),), folder / "log.txt", (folder / "run",))


def line(folder, name, number=0, reason="None"):
    return f"7_{number}|{number}|{name}|{reason}|{folder}/slurm/1/job.sh\n"


def test_a_submission_is_read_as_it_was_written(tmp_path):
    jobs = [job(tmp_path), Job("b, c", (program("train", "x"), program("y", processes=2)),
                               tmp_path / "b")]  # fmt: skip
    first, second = (write_submission(tmp_path / "slurm", jobs) for _ in range(2))
    assert (first.name, second.name) == ("1", "2")
    assert read_submission(first) == jobs


def test_missing_jobs_are_submitted_as_one_array(stand_in, tmp_path):
    jobs = [job(tmp_path, title) for title in "abc"]
    said = []
    start_submitted(jobs, tmp_path / "slurm", "name", ["partition=gpu"], 2, said.append)
    (call,) = stand_in.calls("sbatch")
    words = call.split()
    assert {"--parsable", "--requeue", "--job-name=name", "--partition=gpu"} <= {*words}
    assert "--array=0-2%2" in words
    assert words[-1] == f"{tmp_path}/slurm/1/job.sh"
    assert said[0] == "3 jobs are submitted; `scancel 7` would stop all."
    # The next call finds two of them.
    stand_in.say("squeue", line(tmp_path, "RUNNING", 0) + line(tmp_path, "PENDING", 2)
                 + line(tmp_path, "FAILED", 1))  # fmt: skip
    start_submitted(jobs, tmp_path / "slurm", "name", tell=said.append)
    assert "--array=0-0" in stand_in.calls("sbatch")[1].split()
    assert [j.title for j in read_submission(tmp_path / "slurm" / "2")] == ["b"]


STORIES = {
    "done": ([("RUNNING", None), (None, "0")], "", 0),
    "not seen at all": ([(None, "0")], "", 0),
    "failed": ([("RUNNING", None), ("FAILED", "2")], "exit code 2", 0),
    "queued again": ([("RUNNING", None), ("PENDING", "143"), (None, "0")], "", 1),
    "completing": ([("RUNNING", None), ("COMPLETING", None), ("COMPLETED", "0")], "", 0),
    "silence": ([("RUNNING", None), ("silence", None), (None, "0")], "", 1),
    "killed": ([("RUNNING", None), ("OUT_OF_MEMORY", None)], "7_0, last seen OUT_OF_MEMORY", 0),
    "gone": ([("RUNNING", None), (None, None)], "7_0, last seen RUNNING", 0),
}


@pytest.mark.parametrize(("answers", "reason", "told"), STORIES.values(), ids=STORIES)
def test_what_slurm_says_of_a_job_decides_how_it_ended(stand_in, tmp_path, answers, reason, told):
    listed, said, left = job(tmp_path), [], list(answers)
    start = start_submitted([listed], tmp_path / "slurm", "name", tell=said.append)
    del said[:]

    def watch(_):
        if left:
            state, code = left.pop(0)
            if state == "silence":
                stand_in.say("squeue")
            else:
                stand_in.say("squeue", line(tmp_path, state, reason="BeginTime") if state else "")
            if code:
                exit_file(tmp_path / "slurm" / "1", 0).write_text(f"{code}\n")

    watch(())
    failed = run_jobs([listed], start, 1, watch, pause_s=0.05)
    assert reason in failed.get("a", "")
    assert bool(failed) == bool(reason)
    assert len(said) == told, said


def test_a_job_for_something_else_is_not_taken_for_this_one(stand_in, tmp_path):
    start_submitted([job(tmp_path)], tmp_path / "slurm", "name")
    stand_in.say("squeue", line(tmp_path, "RUNNING"))
    with pytest.raises(InputError, match=r"job 7_0 found in Slurm for 'a', with other settings"):
        start_submitted([job(tmp_path, code="2")], tmp_path / "slurm", "name")


def test_jobs_of_an_earlier_call_are_waited_for(stand_in, tmp_path, monkeypatch):
    start_submitted([job(tmp_path)], tmp_path / "slurm", "name")
    stand_in.say("squeue", line(tmp_path, "RUNNING"))
    monkeypatch.setattr(slurm.time, "sleep", lambda _: stand_in.say("squeue", ""))
    said = []
    wait_for_submitted(tmp_path / "slurm", said.append)
    wait_for_submitted(tmp_path / "slurm", said.append)
    assert said == ["Jobs of an earlier call are at work (7_0); waiting for them."]


REFUSED = {
    "array=0-3": "none of array",
    "--time=3": "without the dashes",
    "partition=none": "--slurm: no controller",
}


@pytest.mark.parametrize(("option", "told"), REFUSED.items())
def test_options_that_cannot_be_taken_are_refused(stand_in, tmp_path, option, told):
    stand_in.say("sbatch")
    with pytest.raises(InputError, match=told):
        start_submitted([job(tmp_path)], tmp_path / "slurm", "name", [option])
    assert not [*tmp_path.glob("slurm/*")]


def test_options_without_jobs_and_jobs_without_slurm_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--slurm-option x=1: found without --slurm"):
        require_slurm(["x=1"], False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="squeue was not found; run this where"):
        start_submitted([job(tmp_path)], tmp_path / "slurm", "name")


SAVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("state", "may_requeue", "asked", "left"),
    [("RUNNING", True, ["requeue 7_0"], None), ("COMPLETING", True, [], None),
     ("RUNNING", False, ["requeue 7_0"], "143")],
    ids=["before its time is up", "on its way out", "cannot be queued"],
)  # fmt: skip
def test_a_warned_job_saves_and_is_queued_again_if_slurm_does_not_do_so(
    stand_in, tmp_path, state, may_requeue, asked, left
):
    listed = job(tmp_path, "a, seed 0", SAVES)
    folder = write_submission(tmp_path / "slurm", [listed])
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "7"}
    process = subprocess.Popen(
        ["sh", folder / "job.sh"], env=environment, stdout=subprocess.PIPE, text=True
    )
    while not listed.log.exists() or "ready" not in listed.log.read_text():
        time.sleep(0.05)
    stand_in.say("squeue", f"{state}\n")
    if not may_requeue:
        stand_in.say("scontrol")
    process.send_signal(signal.SIGUSR1)
    told, _ = process.communicate()
    assert process.returncode == 143
    assert stand_in.calls("scontrol") == ["update JobId=7_0 JobName=a, seed 0", *asked]
    code = exit_file(folder, 0)
    assert (code.read_text().strip() if code.exists() else None) == left
    assert ("cannot be queued again" in told) == (left is not None)


def test_a_task_ends_with_its_first_failure_and_waits_for_who_holds_its_folder(stand_in, tmp_path):
    code = "import sys; print('first'); sys.exit(3)"
    listed = Job("a", (("-c", code), ("-c", "print('never')")), tmp_path / "log", (tmp_path / "r",))
    folder = write_submission(tmp_path / "slurm", [listed])
    hold = (
        "import sys, time; from dvcl.locks import folder_lock\n"
        f"with folder_lock({str(tmp_path / 'r')!r}):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "7"}
    process = subprocess.Popen(
        ["sh", folder / "job.sh"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert f"process {other.pid} on " in process.stdout.readline()
    other.communicate()
    process.communicate()
    assert listed.log.read_text() == "first\n"
    assert exit_file(folder, 0).read_text() == "3\n"
