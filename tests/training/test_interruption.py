"""A run that is stopped or killed goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import make_split
from dvcl.studies.project import open_project, prepare
from dvcl.training.interruption import SIGNALS, Interrupted, Interruption
from dvcl.training.journal import read_journal
from dvcl.volume import Volume, write_volume

RECIPE = """
[preprocessing]
spacing_mm = [4.0, 4.0, 4.0]
window = "none"
[sampling]
patch = [8, 8, 8]
labelled = 1
unlabelled = 1
[network]
base_channels = 4
levels = 2
[training]
iterations = 40
validate_every = 10
precision = "float32"
[window]
size = [8, 8, 8]
stride = [8, 8, 8]
[methods.dvcl]
anchors = 8
queries = 16
queue_size = 64
bank_size = 16
feature_dimension = 8
"""
ENDS = {"term": signal.SIGTERM, "warned": signal.SIGUSR1, "kill": signal.SIGKILL}
STOPPED_AFTER = 13  # steps, three of them beyond a checkpoint


def write_scans(folder: Path, ids: str, labelled: bool) -> Path:
    affine = np.diag([-4.0, -4.0, 4.0, 1.0])
    for id in ids:
        random = np.random.default_rng(ord(id))
        organ = np.zeros((10, 10, 10), np.uint8)
        organ[2:6, 3:8, 2:7] = 1
        image = (100 * organ + random.integers(0, 80, organ.shape)).astype(np.int16)
        write_volume(folder / "images" / f"{id}.nii.gz", Volume(image, affine))
        if labelled:
            write_volume(folder / "labels" / f"{id}.nii.gz", Volume(organ, affine))
    return folder


def start(work: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dvcl.cli", "train", str(work), "--name", name]
    return subprocess.Popen(
        [*command, "--device", "cpu"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stop(processes: dict[int, subprocess.Popen[str]], runs: dict[int, Path]) -> None:
    """Send each process its signal once its journal has enough steps."""
    waiting = set(processes)
    while waiting:
        for number in list(waiting):
            process, rows = processes[number], read_journal(runs[number] / "journal.jsonl")
            assert process.poll() is None, f"ended early: {process.communicate()[0]}"
            if rows and rows[-1]["iteration"] >= STOPPED_AFTER:
                process.send_signal(number)
                waiting.remove(number)
        time.sleep(0.005)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Runs of one study: left alone, terminated, warned by Slurm, killed; none resumed."""
    work = tmp_path_factory.mktemp("study")
    recipe = work / "tiny.toml"
    recipe.write_text(RECIPE)
    dataset = load_folders(
        write_scans(work / "labelled", "ab", labelled=True),
        [write_scans(work / "unlabelled", "cd", labelled=False)],
        validation=write_scans(work / "validation", "e", labelled=True),
    )
    prepare(work, dataset, str(recipe), workers=1)
    runs = {name: work / "runs" / name / "dvcl" / "seed-0" for name in ("whole", *ENDS)}
    processes = {name: start(work, name) for name in ENDS}
    stop(
        {number: processes[name] for name, number in ENDS.items()},
        {number: runs[name] for name, number in ENDS.items()},
    )
    outputs = {name: process.communicate(timeout=240)[0] for name, process in processes.items()}
    codes = {name: process.returncode for name, process in processes.items()}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    go_on(work, "whole")
    yield work, runs, codes, outputs
    torch.set_num_threads(threads)


def go_on(work: Path, name: str) -> None:
    project = open_project(work)
    split = make_split(project.dataset)
    train_run(project, project.load_recipe(), "dvcl", split, name=name, device="cpu")


def untimed(run: Path) -> list[dict]:
    rows = read_journal(run / "journal.jsonl")
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "waited", "processor", "peak_mib")}
        for row in rows
    ]


@pytest.mark.parametrize("name", ["term", "warned"])
def test_a_run_that_is_asked_to_end_saves_its_last_step_and_says_how_to_go_on(study, name):
    _, runs, codes, outputs = study
    assert codes[name] == 128 + ENDS[name]
    steps = [row["iteration"] for row in untimed(runs[name])]
    assert f"stopped by {ENDS[name].name} after iteration {steps[-1]}" in outputs[name]
    assert "run the same command again" in outputs[name]
    assert steps[-1] < 40


def test_a_killed_run_has_steps_that_no_checkpoint_holds(study):
    _, runs, codes, _ = study
    assert codes["kill"] == -signal.SIGKILL
    assert untimed(runs["kill"])[-1]["iteration"] < 40


@pytest.mark.parametrize("name", ENDS)
def test_a_resumed_run_is_the_same_run_bit_for_bit(study, name):
    work, runs, _, _ = study
    go_on(work, name)
    assert untimed(runs[name]) == untimed(runs["whole"])
    for file in ("last.safetensors", "best.safetensors"):
        expected, found = load_file(runs["whole"] / file), load_file(runs[name] / file)
        assert expected.keys() == found.keys()
        differing = [key for key, value in expected.items() if not torch.equal(found[key], value)]
        assert not differing
    left_over = {file.name for file in runs[name].iterdir()} ^ {
        file.name for file in runs["whole"].iterdir()
    }
    assert not left_over


def test_the_first_signal_is_remembered_and_the_second_takes_the_usual_way():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption() as interruption:
        assert interruption.signal is None
        signal.raise_signal(signal.SIGINT)
        assert interruption.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", [n for n in SIGNALS if n != signal.SIGINT], ids=str)
def test_a_request_that_comes_twice_is_one_request(number):
    with Interruption() as interruption:
        signal.raise_signal(number)
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)
        assert interruption.signal == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_come_back_after_an_error_too():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ValueError, match="broken"), Interruption():
        raise ValueError("broken")
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_the_exception_names_signal_and_iteration():
    error = Interrupted(signal.SIGTERM, 17)
    assert str(error) == "stopped by SIGTERM after iteration 17"
    assert (error.signal, error.iteration) == (15, 17)
