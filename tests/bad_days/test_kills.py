"""Processes that are killed or asked to end at any moment: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dvcl.locks import holder_of, is_held
from dvcl.store import open_store
from dvcl.studies.run import open_run
from dvcl.training.checkpoint import saved_facts
from dvcl.training.interruption import SIGNALS
from dvcl.training.journal import last_iteration, read_journal

LONG = ("--set=training.iterations=60", "--set=training.validate_every=5",
        "--set=training.precision=float32", "--device=cpu")  # fmt: skip
KILLS = 5


@pytest.fixture(autouse=True)
def usual_termination() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def start(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dvcl.cli", *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def wait_for(process: subprocess.Popen[bytes], path: Path) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)


def test_trainings_killed_at_random_moments_end_as_one_that_was_not(study: Path) -> None:
    # All as processes: a test before may leave other threads here, and those round otherwise.
    words = ("train", study / "work", "--method=supervised", *LONG)
    assert start(*words, "--name=whole").wait() == 0
    runs = study / "work" / "runs"
    whole, killed = (runs / name / "supervised" / "seed-0" for name in ("whole", "killed"))
    moments = random.Random(0)
    for number in range(KILLS):
        process = start(*words, "--name=killed")
        wait_for(process, killed / "lock.json")
        time.sleep(moments.uniform(0, 0.6))
        process.kill()
        process.wait()
        # What is there is whole, whenever that was.
        if (killed / "run.json").exists():
            open_run(killed)
        done = saved_facts(killed / "last.safetensors").get("iteration", 0)
        assert done % 5 == 0, number
        assert last_iteration(killed / "journal.jsonl") >= done
    assert start(*words, "--name=killed").wait() == 0
    assert (killed / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()
    rows = [row["iteration"] for row in read_journal(killed / "journal.jsonl")]
    assert rows == [row["iteration"] for row in read_journal(whole / "journal.jsonl")]
    assert not [*killed.rglob(".partial-*")]


def test_preparations_killed_at_random_moments_end_as_one_that_was_not(
    study: Path, run, tmp_path: Path
) -> None:
    scans = study / "scans"
    for number in range(60):
        image = (scans / "few" / "images" / "a.nii.gz").read_bytes()
        (scans / "many" / f"more{number}.nii.gz").write_bytes(image)
    words = ("--labelled", scans / "few", "--unlabelled", scans / "many", "--workers=1",
             "--set=preprocessing.spacing_mm=[2.0,2.0,2.0]")  # fmt: skip
    moments = random.Random(1)
    for _ in range(KILLS):
        process = start("prepare", tmp_path / "new", *words)
        wait_for(process, tmp_path / "new" / "store")
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        process.wait()
    assert run("prepare", tmp_path / "new", *words)[0] == 0
    (folder,) = (tmp_path / "new" / "store").iterdir()
    store = open_store(folder)
    for case in store.ids:
        store.case(case).check()
    assert len(store.ids) == 63
    assert not [*folder.rglob(".partial-*")]


@pytest.mark.parametrize(
    ("number", "place", "words"),
    [
        ("SIGTERM", "dvcl.files.os.fsync", "evaluate {run}"),
        ("SIGUSR1", "dvcl.files.os.fsync", "evaluate {run}"),
        ("SIGTERM", "dvcl.commands.predictor.segment",
         "predict {run} {scans}/test/images --out {out}"),
        ("SIGTERM", "dvcl.store.writing.prepare_image",
         "prepare {out} --labelled {scans}/few --workers=1"),
        ("SIGTERM", "dvcl.report.html.write_page", "report {work}"),
    ],
)  # fmt: skip
def test_a_signal_ends_every_command_with_its_code_and_nothing_half_written(
    number: str, place: str, words: str, study: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = signal.Signals[number]

    def ended(*_: object, **__: object) -> None:
        os.kill(os.getpid(), asked)
        time.sleep(5)

    monkeypatch.setattr(place, ended)
    folders = {"work": study / "work", "scans": study / "scans", "out": study / "out",
               "run": study / "work/runs/done/supervised/seed-0"}  # fmt: skip
    code, _, err = run(*words.format(**folders).split())
    assert code == 128 + asked
    assert f"stopped by {number}; run the same command again to continue" in err
    assert not [*study.rglob(".partial-*")]


def kill_at_work(words: tuple[object, ...], folder: Path) -> None:
    """Start a comparison and kill it once the training in ``folder`` is under way."""
    process = start(*words)
    while last_iteration(folder / "journal.jsonl") < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()


def test_a_comparison_waits_for_the_training_of_one_that_was_killed(study: Path, run) -> None:
    words = ("compare", study / "work", "--methods=supervised", "--seeds=0", "--name=orphan", *LONG,
             "--set=training.iterations=120", "--set=training.validate_every=60")  # fmt: skip
    folder = study / "work" / "runs" / "orphan" / "supervised" / "seed-0"
    kill_at_work(words, folder)
    assert is_held(folder), "its training goes on"
    orphan = holder_of(folder)
    assert orphan is not None
    code, out, err = run(*words)
    assert code == 0, out + err
    assert f"process {orphan['pid']} on" in out
    assert "works on it already; waiting for it." in out
    steps = [r["iteration"] for r in read_journal(folder / "journal.jsonl") if r["kind"] == "step"]
    assert steps == [*range(1, 121)]
    assert "1 of 1 run is finished" in run(*words, "--dry")[1]


def test_a_comparison_that_is_stopped_stops_what_it_waited_for(study: Path) -> None:
    words = ("compare", study / "work", "--methods=supervised", "--seeds=0", "--name=stopped",
             *LONG, "--set=training.iterations=4000",
             "--set=training.validate_every=2000")  # fmt: skip
    folder = study / "work" / "runs" / "stopped" / "supervised" / "seed-0"
    kill_at_work(words, folder)
    second = start(*words)
    wait_for(second, study / "work" / "comparisons" / "stopped" / "logs" / "lock.json")
    while (holder_of(study / "work/comparisons/stopped/logs") or {}).get("pid") != second.pid:
        assert second.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 143
    assert not is_held(folder)
    assert saved_facts(folder / "last.safetensors")["iteration"] >= 5, "it saved before it ended"
    assert np.isfinite(saved_facts(folder / "last.safetensors")["best"])
