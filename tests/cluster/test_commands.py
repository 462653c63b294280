"""Commands on a real cluster, as a person gives them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets import load_folders
from dvcl.studies.run import open_run
from dvcl.training.checkpoint import saved_facts
from dvcl.training.journal import last_iteration
from dvcl.volume import Volume, write_volume

PARTS = {"few": "ab", "many": "uw", "validation": "v", "test": "t"}
LONG = ("--set=training.iterations=100", "--set=training.validate_every=50",
        "--set=training.precision=float32", "--device=cpu")  # fmt: skip


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    random = np.random.default_rng(0)
    for part, ids in PARTS.items():
        for id in ids:
            label = np.zeros((16, 16, 16), np.uint8)
            label[4:10, 4:10, 4:12] = 1
            image = (200 * label + random.integers(-200, 100, label.shape)).astype(np.int16)
            for kind, voxels in (("images", image), ("labels", label)):
                if part != "many" or kind == "images":
                    place = folder / part / kind / f"{id}.nii.gz"
                    write_volume(place, Volume(voxels, np.diag([-4.0, -4.0, 4.0, 1.0])))
    return folder


@pytest.fixture
def study(scans: Path, tmp_path: Path, prepare_tiny) -> Path:
    dataset = load_folders(
        scans / "few", [scans / "many"], validation=scans / "validation", test=scans / "test"
    )
    prepare_tiny(tmp_path / "study", dataset)
    return tmp_path / "study"


def dvcl(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dvcl.cli", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def output(process: subprocess.Popen[str]) -> str:
    """What a command that ends well prints; no warnings beside it."""
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, out + err
    assert err == ""
    return out


def slurm(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    while last_iteration(run / "journal.jsonl") < step:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_a_comparison_that_ends_finds_its_runs_which_were_queued_again(cluster, study):
    words = ("compare", study, "--methods=supervised", "--seeds=0,1", "--name=a b", "--slurm",
             "--jobs=1", *LONG)  # fmt: skip
    run = study / "runs" / "a-b" / "supervised" / "seed-0"
    first = dvcl(*words)
    wait_for_step(run, 10, first)
    assert slurm("squeue", "--noheader", "--states=RUNNING", "--format=%j") == (
        "study: a b, supervised, seed 0"
    )
    first.kill()
    first.communicate()
    second = dvcl(*words)
    id = slurm("squeue", "--noheader", "--states=RUNNING", "--format=%F_%K")
    assert id.endswith("_0")
    slurm("scontrol", "requeue", id)
    told = output(second)
    assert "2 jobs are in Slurm already." in told
    assert "jobs are submitted" not in told
    assert "2 of 2 runs are finished" in output(dvcl(*words, "--dry"))
    # As if nothing had happened.
    output(dvcl("train", study, "--method=supervised", "--name=whole", *LONG))
    whole = study / "runs" / "whole" / "supervised" / "seed-0"
    assert (run / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()
    (log,) = study.glob("comparisons/*/logs/*seed 0.txt")
    assert "stopped by SIGTERM after iteration" in log.read_text()


def test_processes_share_a_run_within_a_job(cluster, study):
    words = ("compare", study, "--methods=supervised", "--seeds=0", "--name=shared", "--slurm",
             "--gpus-per-run=2", *LONG)  # fmt: skip
    process = dvcl(*words)
    run = study / "runs" / "shared" / "supervised" / "seed-0"
    wait_for_step(run, 10, process)
    # Torchrun hands it on to both, of which Slurm has told each already.
    id = slurm("squeue", "--noheader", "--states=RUNNING", "--format=%F_%K")
    slurm("scancel", "--batch", "--signal=USR1", id)
    assert "seed 0: queued again" in output(process)
    assert open_run(run).is_recorded()
    assert saved_facts(run / "last.safetensors")["iteration"] == 100
    assert '"processes": "2"' in (run / "run.json").read_text()


def test_scans_are_prepared_in_shares(cluster, scans, tmp_path):
    words = ("prepare", tmp_path / "study", "--labelled", scans / "few", "--test", scans / "test",
             "--unlabelled", scans / "many", "--slurm=2")  # fmt: skip
    told = output(dvcl(*words))
    assert "done: prepare study, 1 of 2" in told
    assert "done: prepare study, 2 of 2" in told
    assert "5 cases, 1 organ," in told
    again = output(dvcl(*words))
    assert "submitted" not in again
    assert "5 cases, 1 organ," in again
