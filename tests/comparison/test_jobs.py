"""Jobs side by side: order, failures, interruption, and submitit's local executor."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dvcl.comparison import jobs
from dvcl.comparison.jobs import Job, run_in_turn, run_jobs, start_here, start_submitted
from dvcl.errors import InputError
from dvcl.resources import usable_cores


@pytest.fixture(autouse=True)
def python_code(monkeypatch):
    """Let a job's arguments be Python code instead of `dvcl`'s."""
    monkeypatch.setattr(jobs, "command_line", lambda words: [sys.executable, "-c", *words])


def job(folder, name, *codes):
    return Job(name, tuple((code,) for code in codes), folder / f"{name}.txt")


def run(listed, side_by_side=2, start=None):
    seen = []
    start = start or start_here(side_by_side, gpus=0)
    failed = run_jobs(
        listed, start, side_by_side, lambda at_work: seen.append(len(at_work)), pause_s=0.02
    )
    return failed, seen


def test_commands_run_one_after_another_and_what_they_print_is_kept(tmp_path):
    failed, seen = run([job(tmp_path, "a", "print('first')", "print('second')")])
    assert failed == {}
    assert (tmp_path / "a.txt").read_text().split() == ["first", "second"]
    assert max(seen) == 1


def meet(folder, name, other):
    """Code that ends well only if the other job works at the same time."""
    return (
        f"import pathlib, sys, time; folder = pathlib.Path({str(folder)!r})\n"
        f"(folder / {name!r}).touch()\n"
        f"for _ in range(600): (folder / {other!r}).exists() or time.sleep(0.1)\n"
        f"assert (folder / {other!r}).exists()\n"
    )


def test_a_failed_job_stops_neither_the_others_nor_itself_halfway(tmp_path):
    fails = meet(tmp_path, "x", "y") + "print('error: no disk'); sys.exit(2)"
    bad = job(tmp_path, "bad", fails, "print('never')")
    works = job(tmp_path, "b", meet(tmp_path, "y", "x"))
    failed, seen = run([bad, works, job(tmp_path, "c", "print('fine')")])
    assert list(failed) == ["bad"]
    assert failed["bad"].startswith("exit code 2: error: no disk (")
    assert "never" not in (tmp_path / "bad.txt").read_text()
    assert (tmp_path / "c.txt").read_text() == "fine\n"
    assert max(seen) <= 2


def test_no_more_jobs_than_asked_for_work_at_once(tmp_path):
    _, seen = run([job(tmp_path, str(n), "import time; time.sleep(0.2)") for n in range(3)], 1)
    assert max(seen) == 1


@pytest.mark.parametrize("already", [None, "3"])
def test_cores_and_gpus_are_shared_out(tmp_path, monkeypatch, already):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if already:
        monkeypatch.setenv("OMP_NUM_THREADS", already)
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'])"
    listed = [job(tmp_path, str(number), code) for number in range(2)]
    run(listed, 2, start_here(2, gpus=2))
    told = sorted(listed_job.log.read_text().split() for listed_job in listed)
    threads = already or str(max(1, usable_cores() // 2))
    assert told == [[threads, "0"], [threads, "1"]]


def test_an_interruption_asks_jobs_to_save_and_waits_for_them(tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(143)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    listed = job(tmp_path, "long", code)

    def interrupt():
        while not listed.log.exists() or "ready" not in listed.log.read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run([listed, job(tmp_path, "never", "print('never')")], 1)
    assert listed.log.read_text().split() == ["ready", "saved"]
    assert not (tmp_path / "never.txt").exists()


def test_a_job_that_another_process_works_on_is_waited_for_and_told(tmp_path):
    held = tmp_path / "run"
    code = (
        "import sys, time; sys.path[:0] = sys.argv[1:]; from pathlib import Path\n"
        "from dvcl.locks import folder_lock\n"
        f"with folder_lock({str(held)!r}):\n"
        f"    Path({str(tmp_path / 'ready')!r}).touch(); time.sleep(1)\n"
        f"Path({str(tmp_path / 'ended')!r}).touch()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    ours = f"import os; assert os.path.exists({str(tmp_path / 'ended')!r})"
    told, failed = [], {}
    for number in range(2):
        listed = Job(f"a{number}", ((ours,),), tmp_path / "log", (held,))
        failed |= run_jobs(
            [listed], start_here(1, 0), 1, lambda _: None, waits=told.append, pause_s=0.02
        )
    other.wait()
    assert failed == {}
    (sentence,) = told
    assert sentence.startswith(f"a0: process {other.pid} on ")
    assert sentence.endswith("works on it already; waiting for it.")


def test_run_in_turn_ends_with_the_first_failure(tmp_path):
    assert run_in_turn(job(tmp_path, "a", "print(1)", "print(2)")) == 0
    assert run_in_turn(job(tmp_path, "b", "import sys; sys.exit(3)", "print(2)")) == 3
    assert (tmp_path / "b.txt").read_text() == ""


def test_jobs_can_be_submitted(tmp_path):
    pytest.importorskip("submitit")
    start = start_submitted(tmp_path / "submitit", "local", {"timeout_min": 1})
    # The submitted process imports the real module, where arguments are those of `dvcl`.
    seen = Job("a", (("--help",),), tmp_path / "a.txt")
    failing = Job("b", (("train", "nowhere"),), tmp_path / "b.txt")
    failed, _ = run([seen, failing], 2, start)
    assert "Train 3-D multi-organ segmentation" in seen.log.read_text()
    assert list(failed) == ["b"]
    assert "error: nowhere: no prepared data there" in failed["b"]


def test_a_missing_submitit_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install dvcl\[slurm\]"):
        start_submitted(tmp_path, "slurm", {})
