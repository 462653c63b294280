"""Benchmarks are not run by the tests, but they must compile and be listed."""

import py_compile
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
FILES = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_benchmark_compiles(path, tmp_path):
    py_compile.compile(str(path), cfile=str(tmp_path / "out.pyc"), doraise=True)


def test_every_benchmark_is_in_the_table_with_its_command():
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        # What they share is no program.
        if "__main__" in text:
            assert f"python benchmarks/{path.name}" in table
            assert f"python benchmarks/{path.name}" in text
