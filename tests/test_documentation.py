"""What the pages say exists: commands, their options, make targets, linked files."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/*.md")])

SHELL_BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def documented(program: str) -> list[str]:
    """Distinct command lines of one program in the pages' shell blocks, continuations joined."""
    blocks = [block for page in PAGES for block in SHELL_BLOCK.findall(page.read_text("utf-8"))]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = {" ".join(line.removeprefix("$ ").split()) for line in lines}
    return sorted(command for command in commands if command.startswith(f"{program} "))


@cache
def help_of(command: str) -> str:
    code = "import sys; from dvcl.cli import main; sys.argv[0] = 'dvcl'; main()"
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    result = subprocess.run(
        [sys.executable, "-c", code, command, "--help"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.returncode == 0, f"dvcl {command} --help: {result.stderr}"
    return result.stdout


@pytest.mark.parametrize("line", documented("dvcl"))
def test_documented_commands_and_options_exist(line: str) -> None:
    _, command, *arguments = shlex.split(line, comments=True)
    if command.startswith("-"):
        return
    options = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    shown = help_of(command)
    missing = {option for option in options if not re.search(rf"{option}\b", shown)}
    assert not missing, f"{sorted(missing)}: not an option of dvcl {command}"


def test_documented_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for line in documented("make"):
        words = shlex.split(line, comments=True)[1:]
        assert {word for word in words if "=" not in word} <= set(targets), line


def test_named_extras_exist() -> None:
    """In the pages, the Makefile and containers' recipes; the table has all that users need."""
    brackets, setting = r"(?:\.|dvcl)\[([a-z]+(?:,[a-z]+)*)\]", r"EXTRAS(?: \?)?= ?([a-z,]+)"
    named = re.compile(f"{brackets}|{setting}")
    made = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(made["optional-dependencies"])
    for page in [*PAGES, *(ROOT / name for name in ("Makefile", "Dockerfile", "apptainer.def"))]:
        found = named.findall(page.read_text("utf-8"))
        assert {extra for text in found for extra in "".join(text).split(",")} <= extras, page
    table = (ROOT / "docs" / "installation.md").read_text("utf-8").partition("| extra | for |")[2]
    rows = re.findall(r"^\| `([a-z]+)` \|", table.partition("\n\n")[0], re.M)
    assert {*rows, "dev", "bench"} == extras


def test_the_offline_installation_names_what_the_wheelhouse_holds() -> None:
    fetched = re.search(r"^EXTRAS \?= (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    page = (ROOT / "docs" / "installation.md").read_text("utf-8")
    installed = re.search(r"--find-links wheelhouse 'dvcl\[(.*)\]'", page)
    assert fetched is not None
    assert installed is not None
    assert installed[1] == fetched[1]


def test_make_begins_environments_of_other_pythons_anew() -> None:
    """An environment that is there keeps its Python, whatever PYTHON says."""
    made = re.findall(r"-m venv (.*build/.*)", (ROOT / "Makefile").read_text("utf-8"))
    assert made
    assert [words for words in made if not words.startswith("--clear ")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_linked_files_exist(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
