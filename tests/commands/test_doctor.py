"""`dvcl doctor` tells what is missing, what for, and what to do; only faults end with 1."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from dvcl.commands import doctor

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
FOR_DEVELOPERS = {"dev", "bench"}


def requires(*lines: str) -> Callable[[str], list[str]]:
    return lambda name: list(lines)


def test_every_extra_has_its_words() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(doctor.EXTRAS) == set(extras["optional-dependencies"]) - FOR_DEVELOPERS


def test_this_machine_is_fit(run: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    code, said, err = run("doctor", tmp_path / "not-there-yet")
    assert code == 0, said + err
    for words in ("torch 2.", "of memory are free", f"in {tmp_path}", "cpu float32: relative"):
        assert words in said


CASES = {
    "a package that is not there": (
        requires("numpy>=2", "no-such-package>=1"), 1,
        "no-such-package is not installed", "pip install --force-reinstall no-such-package",
    ),
    "an extra that is not there": (
        requires("numpy>=2", "no-such-package>=1; extra == 'figures'"), 0,
        "`dvcl inspect`: no-such-package is not installed", "pip install no-such-package",
    ),
    "an older installation": (
        requires("numpy>=2"), 0,
        "`dvcl inspect`: the installed dvcl does not know this extra", "Install dvcl again.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_missing_is_told(name: str, run: Command, tmp_path: Path, monkeypatch) -> None:
    told, expected, problem, remedy = CASES[name]
    monkeypatch.setattr(metadata, "requires", told)
    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    code, said, _ = run("doctor", tmp_path)
    assert code == expected
    assert problem in said
    assert remedy in said


def test_a_package_that_does_not_load_is_a_fault(run: Command, tmp_path: Path, monkeypatch) -> None:
    def refuse(name: str) -> None:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(doctor.importlib, "import_module", refuse)
    code, said, _ = run("doctor", tmp_path)
    assert code == 1
    assert "torch cannot be loaded (libgomp.so.1" in said
    assert "Convolutions" not in said


def test_little_room_is_told(run: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    monkeypatch.setattr(doctor, "available_ram", lambda: 10**9)
    monkeypatch.setattr(doctor, "LEAST_DISK", 2.0**62)
    code, said, _ = run("doctor", tmp_path)
    assert code == 0
    assert "- 1.0 GB of" in said
    assert "raise the container's limit" in said
    assert "Free some space" in said


def test_a_wrong_convolution_is_a_fault(run: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "SECONDS", 0.0)
    monkeypatch.setattr("dvcl.networks.self_test.SelfTest.wrong", ["kernel 3"])
    code, said, _ = run("doctor", tmp_path)
    assert code == 1
    assert "cpu bf16 is wrong: relative errors kernel 3" in said
    assert "training.precision=float32" in said
