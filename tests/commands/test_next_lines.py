"""What a command proposes next can be copied into a shell, whatever folders are called."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from dvcl.cli.options import typed

Run = Callable[..., tuple[int, str, str]]
TINY = (
    "preprocessing.spacing_mm=[4.0, 4.0, 4.0]", "sampling.patch=[4, 4, 4]", "network.levels=2",
    "network.base_channels=2", "training.iterations=2", "training.validate_every=1",
    "window.size=[4, 4, 4]", "window.stride=[4, 4, 4]",
)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "dvcl plan 'a b'"),
        (
            {"labelled": Path("c d"), "data": None, "partial": False},
            "dvcl plan 'a b' --labelled 'c d'",
        ),
        (
            {"unlabelled": [Path("c"), Path("d'")]},
            """dvcl plan 'a b' --unlabelled c --unlabelled 'd'"'"''""",
        ),
        ({"label_values": True, "modality": "MR"}, "dvcl plan 'a b' --label-values --modality MR"),
    ],
)
def test_a_command_is_typed_as_a_shell_takes_it(options: dict, told: str) -> None:
    assert typed("dvcl", "plan", Path("a b"), **options) == told
    assert "a b" in shlex.split(told)


def proposed(said: str) -> list[list[str]]:
    """The words of the commands that end lines."""
    lines = [
        line.partition("dvcl ")
        for line in said.splitlines()
        if ": dvcl " in line or "? dvcl " in line
    ]
    return [shlex.split(command) for *_, command in lines]


def test_each_command_leads_to_the_next(run: Run, write_case, tmp_path: Path, monkeypatch) -> None:
    """Through a study in a folder with a space, up to the score."""
    monkeypatch.chdir(tmp_path)
    for id in "abcdef":
        write_case(tmp_path / "few scans", id)
    changes = [f"--set={change}" for change in TINY]
    code, said, err = run("prepare", "a study", "--labelled", "few scans", "--workers=1", *changes)
    assert code == 0, err
    (train,) = proposed(said)
    code, said, err = run(*train, "--device=cpu", "--method=supervised")
    assert code == 0, err
    score, segment = proposed(said)
    assert run(*score, "--device=cpu")[0] == 0
    assert segment[-3:] == ["SCANS", "--out", "MASKS"]
    scans = ["few scans/images" if word == "SCANS" else word for word in segment]
    assert run(*scans, "--device=cpu", "--trust", "--no-pictures")[0] == 0
    assert len([*(tmp_path / "MASKS").glob("*.nii.gz")]) == 6
