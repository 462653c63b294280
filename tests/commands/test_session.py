"""Options that all commands have, and the record of every command in its study."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dvcl
from dvcl.errors import InputError
from dvcl.training.interruption import Interrupted
from dvcl.volume import Volume, write_volume

Run = Callable[..., tuple[int, str, str]]
COMMANDS = (
    *("demo", "phantom", "check", "plan", "show", "prepare", "methods", "train", "predict"),
    *(
        "evaluate",
        "compare",
        "tables",
        "report",
        "inspect",
        "doctor",
        "export",
        "card",
        "calibrate",
    ),
)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Four labelled scans of one organ."""
    label = np.zeros((16, 16, 16), np.uint8)
    label[4:10, 4:10, 4:10] = 1
    for seed in range(4):
        array = np.random.default_rng(seed).integers(-1000, 1000, (16, 16, 16)).astype(np.int16)
        affine = np.diag([-4.0, -4.0, 4.0, 1.0])
        write_volume(tmp_path / f"few/images/p{seed}.nii.gz", Volume(array, affine))
        write_volume(tmp_path / f"few/labels/p{seed}.nii.gz", Volume(label, affine))
    return tmp_path / "few"


def records(work: Path) -> list[dict]:
    files = sorted((work / "log").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    return [json.loads(file.read_text("utf-8")) for file in files]


def prepare(run: Run, scans: Path, *more: str) -> tuple[int, str, str]:
    spacing = "--set=preprocessing.spacing_mm=[4.0, 4.0, 4.0]"
    return run("prepare", scans.parent / "work", "--labelled", scans, spacing, *more)


def test_the_version_is_told(run: Run) -> None:
    assert run("--version") == (0, f"dvcl {dvcl.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_common_options(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert all(option in out for option in ("--quiet", "-q", "--verbose", "-v", "--json"))


@pytest.mark.parametrize(
    "words", [("methods",), ("methods", "--json"), ("--help",), ("--version",)], ids=" ".join
)
def test_a_closed_pipe_ends_a_command_quietly(words: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "dvcl.cli", *words], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert ended.returncode == 141
    assert "Error" not in ended.stderr


def test_names_of_commands_are_completed() -> None:
    told = {"_DVCL_COMPLETE": "complete_bash", "COMP_WORDS": "dvcl pre", "COMP_CWORD": "1"}
    code = "import sys; from dvcl.cli import main; sys.argv = ['dvcl']; main()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | told
    )
    assert sorted(result.stdout.split()) == [
        "predict",
        "prepare",
    ]


def test_json_is_all_of_standard_output(run: Run) -> None:
    code, out, err = run("methods", "--json")
    assert code == 0
    assert "supervised" in {row["method"] for row in json.loads(out)["methods"]}
    assert "supervised" in err
    code, out, err = run("methods", "dvcl", "--json")
    assert json.loads(out)["settings"]["neighbours"]["default"] == "10"


def test_json_of_wrong_input_is_its_problems(run: Run, tmp_path: Path) -> None:
    code, out, err = run("report", tmp_path, "--json")
    assert code == 2
    (problem,) = json.loads(out)["errors"]
    assert problem in err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError(["one", "two"]), 2, ["one", "two"]),
        (OSError(errno.ENOSPC, "No space left on device", "a.png"), 2, ["a.png: no space left"]),
        (PermissionError(errno.EACCES, "Permission denied", "b"), 2, ["b: cannot be read or"]),
        (MemoryError(), 2, ["the command needs more memory than there is"]),
        (Interrupted(signal.SIGTERM, 7), 143, ["stopped by SIGTERM after iteration 7; run"]),
        (SystemExit(143), 143, ["stopped by SIGTERM; run the same command again"]),
        (KeyboardInterrupt(), 130, ["interrupted"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_json_of_every_failure_is_its_problems(
    error: BaseException, code: int, told: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("dvcl.commands.methods.method_facts", fail)
    plain, out, _ = run("methods")
    assert plain == code
    assert not out.lstrip().startswith("{")
    found, out, _ = run("methods", "--json")
    assert found == code
    problems = json.loads(out)["errors"]
    assert len(problems) == len(told)
    assert all(map(str.startswith, problems, told))


def test_json_of_a_failure_has_what_stands_above_its_problems(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may say what to do, and what was done all the same."""

    def fail(*_: object) -> None:
        raise InputError(["a.nii.gz: is damaged."], "1 of 2 images is segmented; not so:")

    monkeypatch.setattr("dvcl.commands.methods.method_facts", fail)
    _, out, _ = run("methods", "--json")
    assert json.loads(out) == {
        "errors": ["a.nii.gz: is damaged."],
        "heading": "1 of 2 images is segmented; not so:",
    }


def test_json_of_a_fault_of_the_program_stands_beside_its_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr("dvcl.commands.methods.method_facts")
    with pytest.raises(ImportError):
        run("methods", "--json")
    (problem,) = json.loads(capsys.readouterr().out)["errors"]
    assert problem.startswith("ImportError: cannot import name 'method_facts'")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["methods", "--no-such"], "No such option: --no-such"),
        (["predict"], "Missing argument"),
        (["evaluate", "x", "--tolerance-mm=far"], "Invalid value for '--tolerance-mm'"),
        (["no-such-command"], "No such command 'no-such-command'"),
        (["plan", "--labelled", "x", "--out", "--json"], "Invalid value for '--out': '--json'"),
        (["plan", "--labelled", "x", "--out", "-q"], "Invalid value for '--out': '-q'"),
        (["check", "--unlabelled", "x", "--unlabelled", "--strict"], "for '--unlabelled': '--str"),
        (["train", "x", "--set", "--twin"], "Invalid value for '--set': '--twin'"),
        (["methods", "-q", "-v"], "--quiet and --verbose: one of both was expected."),
    ],
)
def test_json_of_a_wrong_command_line_is_its_problem(words: list[str], told: str, run: Run) -> None:
    assert run(*words)[0] == 2
    code, out, err = run(*words, "--json")
    assert code == 2
    (problem,) = json.loads(out)["errors"]
    assert told in problem
    assert told in err


def test_quiet_and_verbose_say_less_and_more(run: Run, scans: Path) -> None:
    usual, quiet, verbose = (prepare(run, scans, *more)[1] for more in ((), ("-q",), ("-v",)))
    assert "Next: dvcl train" in usual
    assert "Next: dvcl train" not in quiet
    assert "4 cases, 1 organ, " in quiet
    assert usual.count("Preparing") == 1
    assert "Preparing" not in quiet
    assert f"dvcl {dvcl.__version__}" in verbose
    assert "labelled:" in verbose
    assert "Took " in verbose
    assert prepare(run, scans, "-q", "-v")[0] == 2


def test_a_command_leaves_a_record_in_its_study(run: Run, scans: Path) -> None:
    prepare(run, scans)
    run("train", scans.parent / "work", "--method", "no-such-method")
    first, second = records(scans.parent / "work")
    assert first["command"][:2] == ["dvcl", "prepare"]
    assert (first["exit_code"], first["dvcl"]) == (0, dvcl.__version__)
    assert first["start"] <= first["end"]
    assert "the darkest voxels are" in first["warnings"][0]
    assert (second["command"][1], second["exit_code"]) == ("train", 2)


def test_where_there_is_no_study_nothing_is_written(run: Run, scans: Path) -> None:
    before = sorted(scans.parent.rglob("*"))
    run("check", "--labelled", scans)
    assert sorted(scans.parent.rglob("*")) == before
