"""Which runs a comparison consists of, and how they are named."""

import argparse
import itertools
from pathlib import Path

import pytest

from dvcl.commands.compare_options import Options, parse_numbers, parse_varied
from dvcl.comparison.plan import plan
from dvcl.errors import InputError
from dvcl.jobs import slurm
from dvcl.jobs.job import Job
from dvcl.methods import METHODS

STUDY = Path("study")


def test_all_combinations_seeds_last():
    vary = {"methods.dvcl.neighbours": ["5", "10"]}
    entries = plan([STUDY], ["cps", "dvcl"], [0, 1], [4, None], vary, "small-ct")
    assert len(entries) == len(set(entries)) == 2 * 2 * 2 * 2
    assert [entry.seed for entry in entries] == [0] * 8 + [1] * 8
    first = entries[0]
    assert first.folder == STUDY / "runs/small-ct_4-labelled_neighbours=5/cps/seed-0"
    assert first.varied == ("methods.dvcl.neighbours=5",)
    assert len({entry.folder for entry in entries}) == len(entries)
    assert {entry.group for entry in plan([STUDY], ["cps"], [0], [None], {}, "x")} == {"x"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"methods": []}, "methods"),
        ({"seeds": [1, 1]}, r"seeds: \[1, 1\]"),
        ({"vary": {"training.rate": ["1", "1"]}}, r"training\.rate"),
    ],
)
def test_nothing_and_doubles_are_refused(changed, expected):
    given = {"studies": [STUDY], "methods": ["cps"], "seeds": [0], "labelled_cases": [None],
             "vary": {}, "name": "x"}  # fmt: skip
    with pytest.raises(InputError, match=expected):
        plan(**given | changed)


def test_options_as_they_are_typed():
    assert parse_numbers("--seeds", "0,1,12") == [0, 1, 12]
    assert parse_numbers("--labelled-cases", None) == []
    with pytest.raises(InputError, match=r"--seeds: '0;1' found"):
        parse_numbers("--seeds", "0;1")
    varied = parse_varied(["methods.magicnet.cube=[8,8,8],[16,16,16]", "training.rate=0.1"])
    assert varied == {"methods.magicnet.cube": ["[8,8,8]", "[16,16,16]"], "training.rate": ["0.1"]}
    with pytest.raises(InputError, match="--vary 'rate'"):
        parse_varied(["rate"])


def test_twins_are_supervised_and_come_first():
    def named(methods: str) -> list[str]:
        return Options(methods, [0], twin=True).method_names()

    assert named("mean_teacher") == ["supervised", "mean_teacher"]
    assert named("dvcl,cps") == ["supervised", "supervised_pair", "dvcl", "cps"]
    assert named("dvcl,supervised") == ["supervised_pair", "dvcl", "supervised"]
    assert Options("all", [0]).method_names() == list(METHODS)


def test_a_run_is_trained_with_the_options_of_the_comparison():
    options = Options("dvcl", [3], recipe="small-ct", changes=("training.rate=0.1",), split_seed=2)
    (entry,) = plan([STUDY], ["dvcl"], [3], [4], {"network.levels": ["3"]}, "x")
    words = options.training(entry)
    assert words[:6] == ("train", str(STUDY.absolute()), "--method", "dvcl", "--seed", "3")
    pairs = set(itertools.pairwise(words))
    assert {("--labelled-cases", "4"), ("--split-seed", "2"), ("--recipe", "small-ct")} <= pairs
    assert words[-2:] == ("--set=training.rate=0.1", "--set=network.levels=3")
    assert "--test-share" not in words


@pytest.mark.parametrize(
    ("device", "options", "asked"),
    [
        ("auto", (), ["--gres=gpu:2"]),
        ("cpu", (), []),
        ("auto", ("gpus-per-node=a100:2",), ["--gpus-per-node=a100:2"]),
        ("auto", ("gres=gpu:a100:2",), ["--gres=gpu:a100:2"]),
    ],
)
def test_gpus_of_a_run_are_asked_for_and_shared_by_processes(
    monkeypatch, tmp_path, device, options, asked
):
    (entry,) = plan([STUDY], ["dvcl"], [0], [4], {}, "x")
    made = Options("dvcl", [0], slurm=True, slurm_options=options, gpus_per_run=2, device=device)
    train, score = made.commands(entry)
    assert train[:4] == ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert train[4:7] == ("-m", "dvcl.cli", "train")
    assert score[:3] == ("-m", "dvcl.cli", "evaluate")
    called = []
    monkeypatch.setattr(slurm, "Queue", lambda tell: argparse.Namespace(jobs={}, look=list))
    monkeypatch.setattr(slurm, "ask_slurm", lambda *words: called.append(words) or "7")
    made.start([Job("a", (train, score), tmp_path / "log")], tmp_path / "x" / "logs")
    assert [word for word in called[0] if word.startswith("--g")] == asked
    assert "--job-name=x" in called[0]


def test_options_of_slurm_are_refused_without_it():
    with pytest.raises(InputError, match="--slurm-option partition=gpu: found without --slurm"):
        Options("dvcl", [0], slurm_options=["partition=gpu"])


def test_variants_know_what_they_are_variants_of() -> None:
    vary = {"methods.dvcl.distance_loss": ["a/b"], "training.rate": ["0.5"]}
    (variant,) = plan([Path("study")], ["dvcl"], [0], [4], vary, "five")
    (unchanged,) = plan([Path("study")], ["dvcl"], [0], [4], {}, "five")
    assert variant.group == "five, 4 labelled, distance_loss=a-b, rate=0.5"
    assert variant.base == unchanged.base == unchanged.label == "study: five, 4 labelled"
    assert variant.row == "dvcl (distance_loss=a-b, rate=0.5)"
    assert unchanged.row == "dvcl"
