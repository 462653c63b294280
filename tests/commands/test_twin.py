"""Where a twin makes no sense."""

import pytest

from dvcl.commands.twin import check_twin
from dvcl.errors import InputError


def test_a_twin_needs_a_method_that_uses_unlabelled_scans() -> None:
    check_twin("dvcl")
    with pytest.raises(InputError, match="supervised learns from labelled scans alone"):
        check_twin("supervised")


def test_a_twin_needs_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(InputError, match=r"--twin: 2 processes found.*dvcl compare --twin"):
        check_twin("dvcl")
