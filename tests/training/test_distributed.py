"""Two processes train as one does: started by the real torchrun, over gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dvcl.commands.train import train_run
from dvcl.datasets.phantom import make_phantom
from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.resources import Launch, launch
from dvcl.splits import make_split
from dvcl.studies.project import Project, open_project, prepare
from dvcl.training.distributed import own_device
from dvcl.training.journal import read_journal

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SCRIPT = Path(__file__).with_name("run_methods.py")
INTERRUPTED = ("dan", "dvcl")
TINY = (
    "preprocessing.spacing_mm=[12.0, 10.0, 10.0]",
    "sampling.patch=[16, 16, 16]",
    "sampling.labelled=1",
    "sampling.unlabelled=2",
    "network.levels=3",
    "network.base_channels=4",
    "training.precision=float32",
    "training.iterations=30",
    "training.validate_every=10",
    "window.size=[16, 32, 32]",
    "window.stride=[16, 32, 32]",
)


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*arguments: object) -> str:
    process = start(*arguments)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every method on two processes, then on one, which resumes the runs the two have stopped."""
    folder = tmp_path_factory.mktemp("methods")
    finish(*TORCHRUN, SCRIPT, folder / "two")
    finish(SCRIPT, folder / "one", folder / "two")
    return folder / "one", folder / "two"


def untimed(run: Path) -> list[dict]:
    rows = read_journal(run / "journal.jsonl")
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "waited", "processor", "peak_mib")}
        for row in rows
    ]


def assert_same_up_to_rounding(
    found: list[dict], expected: list[dict], rel: float = 1e-6, dice: float = 1e-12
):
    assert [(row["kind"], row["iteration"]) for row in found] == [
        (row["kind"], row["iteration"]) for row in expected
    ]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.keys() == theirs.keys()
        for key in ("terms", "gradient_norms"):
            assert mine.get(key, {}) == pytest.approx(theirs.get(key, {}), rel=rel)
        scores = mine.get("mean_dice", 0), theirs.get("mean_dice", 0)
        assert scores[0] == pytest.approx(scores[1], rel=rel, abs=dice)


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_learn_what_one_learns(name, runs):
    one, two = (untimed(folder / "whole" / name) for folder in runs)
    assert any(row.get("gradient_norms") for row in one)
    assert_same_up_to_rounding(two, one)


@pytest.mark.parametrize("name", METHODS)
def test_all_processes_hold_the_same_weights_and_memories(name, runs):
    one, two = runs
    first, second, alone = (
        load_file(folder / f"{name}.safetensors")
        for folder in (two / "weights-0", two / "weights-1", one / "weights-0")
    )
    assert all(torch.equal(first[key], value) for key, value in second.items())
    torch.testing.assert_close(first, alone, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", INTERRUPTED)
def test_a_signal_to_one_process_stops_both_at_the_same_step(name, runs):
    one, two = (untimed(folder / "stopped" / name) for folder in runs)
    assert two[-1]["iteration"] == 3
    assert_same_up_to_rounding(two, one)


@pytest.mark.parametrize("name", INTERRUPTED)
def test_two_processes_resume_bit_for_bit(name, runs):
    whole, cut = runs[1] / "whole" / name, runs[1] / "cut" / name
    assert untimed(cut) == untimed(whole)
    for file in ("last.safetensors", "best.safetensors"):
        expected, found = load_file(whole / file), load_file(cut / file)
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


@pytest.mark.parametrize("name", INTERRUPTED)
def test_one_process_resumes_what_two_have_begun(name, runs):
    handed_over, whole = untimed(runs[0] / "handed_over" / name), untimed(runs[1] / "whole" / name)
    stopped = untimed(runs[1] / "stopped" / name)
    assert handed_over[: len(stopped)] == stopped
    assert_same_up_to_rounding(handed_over, whole)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("study")
    dataset = make_phantom(folder / "scans", 2, 3, 1, 0, spacing_mm=(12.0, 10.0, 10.0))
    prepare(folder / "work", dataset, "small-ct", changes=TINY, workers=1)
    return open_project(folder / "work")


def test_the_command_under_torchrun(study):
    """Stopped once, continued, and then refused: written once, and said once, each time."""
    # A method that draws no voxels: which ones are drawn, rounding may change after some steps.
    method = "mean_teacher"
    train = [*TORCHRUN, "-m", "dvcl.cli", "train", study.folder, "--method", method]
    train += ["--name=two", "--device=cpu"]
    folder = study.run_folder("two", method, 0)
    process = start(*train)
    while len(read_journal(folder / "journal.jsonl")) < 5:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=120)[0]
    stopped = untimed(folder)[-1]["iteration"]
    assert output.count(f"stopped by SIGTERM after iteration {stopped};") == 1, output
    assert stopped < 30

    output = finish(*train)
    assert output.count("Trained: ") == output.count("iteration 30: validation Dice") == 1
    split = make_split(study.dataset)
    train_run(study, study.load_recipe(), method, split, name="one", device="cpu")
    alone = study.run_folder("one", method, 0)
    # In float32 rounding grows from step to step.
    assert_same_up_to_rounding(untimed(folder)[:8], untimed(alone)[:8], rel=1e-3)
    # A network that has learned so little has a Dice of a hundredth, which a few voxels decide.
    assert_same_up_to_rounding(untimed(folder), untimed(alone), rel=0.05, dice=1e-3)
    assert {file.name for file in folder.iterdir()} == {file.name for file in alone.iterdir()}
    for run, processes in ((folder, "2"), (alone, "1")):
        made_with = json.loads((run / "run.json").read_text())["made_with"]
        assert made_with["processes"] == processes

    process = start(*train, "--set", "training.rate=0.5")
    output = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert output.count("holds a run with other settings") == output.count("error: ") == 1, output
    assert "/dvcl/" not in output, "a traceback of ours"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted on Linux")
def test_no_thread_is_left_to_abort_python_as_it_ends(tmp_path):
    script = tmp_path / "leave.py"
    script.write_text(
        "import os\n"
        "from dvcl.training.distributed import joined\n"
        "with joined('cpu') as (processes, _):\n"
        "    processes.lead(lambda: None)\n"
        "tasks = '/proc/self/task'\n"
        "names = [open(f'{tasks}/{task}/comm').read() for task in os.listdir(tasks)]\n"
        "assert not [name for name in names if 'gloo' in name], names\n"
    )
    finish(*TORCHRUN, script)


def test_places_are_those_of_torchrun_or_none(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launch() == Launch(0, 1, 0, 1)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launch() == Launch(0, 1, 0, 1)
    for name, value in (("RANK", "3"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert launch() == Launch(3, 4, 1, 2)


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    place, chosen = Launch(1, 2, 1, 2), []
    assert own_device("cpu", place) == "cpu"
    with pytest.raises(InputError, match="'cuda:1' found for 2 processes"):
        own_device("cuda:1", place)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert own_device("auto", place) == "cuda:1"
    assert chosen == [1]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="2 processes found on a machine with 1 GPU[.]"):
        own_device("auto", place)
