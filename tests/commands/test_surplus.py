"""Words of the command line that nothing takes are answered with what was probably meant."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folders(tmp_path: Path, write_case, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with "few scans"/, many/, known/ of nnU-Net and a study."""
    monkeypatch.chdir(tmp_path)
    write_case(Path("few scans"), "a")
    write_image(Path("many/u.nii.gz"))
    for file in ("known/dataset.json", "work/project.json"):
        Path(file).parent.mkdir()
        Path(file).write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("check 'few scans'", "check --labelled 'few scans'"),
        ("check many", "check --unlabelled many --labelled DIR"),
        ("check known", "check --data known"),
        ("check gone", "check --labelled gone"),
        ("plan many 'few scans' --minutes 5",
         "plan --unlabelled many --labelled 'few scans' --minutes 5"),
        ("check many --labelled 'few scans'", "check --unlabelled many --labelled 'few scans'"),
        ("prepare new 'few scans'", "prepare new --labelled 'few scans'"),
        ("prepare work many", "prepare work --add many"),
    ],
)  # fmt: skip
def test_scans_without_an_option_are_told_with_it(
    folders: Path, run: Run, typed: str, meant: str
) -> None:
    code, out, err = run(*shlex.split(typed))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {typed.split()[0]}: ")
    assert err.strip().endswith(f"Probably: dvcl {meant}")


def test_the_command_that_is_told_works(folders: Path, run: Run) -> None:
    told = run("check", "few scans")[2]
    words = shlex.split(told.strip().rpartition("Probably: dvcl ")[2])
    assert "1 labelled" in run(*words)[1]


@pytest.mark.parametrize("typed", ["train work more", "show 'few scans' many", "phantom new 3"])
def test_commands_that_take_no_such_option_expect_nothing_more(
    folders: Path, run: Run, typed: str
) -> None:
    command, *_, more = shlex.split(typed)
    code, out, err = run(*shlex.split(typed), "--json")
    assert code == 2
    assert json.loads(out)["errors"][0] in err
    assert f"error: {command}: {more} found, nothing more was expected." in err
    assert err.strip().endswith(f"dvcl {command} --help")
