"""The command line, run in this process."""

import sys
from collections.abc import Callable

import pytest

from dvcl import cli


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run(*words) -> exit code, standard output, standard error of `dvcl`."""

    def run(*words: object) -> tuple[int, str, str]:
        sys.argv = ["dvcl", *map(str, words)]
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
