"""What the pages say exists: commands, their options, make targets, linked files."""

import os
import re
import shlex
import subprocess
import sys
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_linked_files_exist(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
