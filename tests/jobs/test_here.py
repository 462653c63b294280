"""Jobs as processes side by side: order, failures, interruption, shares of the machine."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dvcl.jobs.here import start_here
from dvcl.jobs.job import Job
from dvcl.jobs.side_by_side import run_jobs
from dvcl.resources import usable_cores


def job(folder, name, *codes):
    return Job(name, tuple(("-c", code) for code in codes), folder / f"{name}.txt")


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


@pytest.mark.parametrize(
    ("already", "gpus", "gpus_per_run", "shares"),
    [(None, 2, 1, ["0", "1"]), ("3", 2, 1, ["0", "1"]), (None, 4, 2, ["0,1", "2,3"])],
)
def test_cores_and_gpus_are_shared_out(tmp_path, monkeypatch, already, gpus, gpus_per_run, shares):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if already:
        monkeypatch.setenv("OMP_NUM_THREADS", already)
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'])"
    listed = [job(tmp_path, str(number), code) for number in range(2)]
    run(listed, 2, start_here(2, gpus, gpus_per_run))
    told = sorted(listed_job.log.read_text().split() for listed_job in listed)
    threads = already or str(max(1, usable_cores() // (2 * gpus_per_run)))
    assert told == [[threads, share] for share in shares]


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
        listed = Job(f"a{number}", (("-c", ours),), tmp_path / "log", (held,))
        start = start_here(1, 0, waits=told.append)
        failed |= run_jobs([listed], start, 1, lambda _: None, pause_s=0.02)
    other.wait()
    assert failed == {}
    (sentence,) = told
    assert sentence.startswith(f"a0: process {other.pid} on ")
    assert sentence.endswith("works on it already; waiting for it.")
