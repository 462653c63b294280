"""Every condition of the table, as a person meets it."""

import importlib.util
import sys
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location(
    "bad_day_conditions", Path(__file__).with_name("conditions.py")
)
conditions = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = conditions
SPEC.loader.exec_module(conditions)

PAGE = Path(__file__).parents[2] / "docs" / "bad-days.md"


@pytest.mark.parametrize("row", conditions.CONDITIONS, ids=lambda row: row.what)
def test_what_a_person_sees(row, study: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    row.spoil(study)
    for place, number in row.patch.items():
        monkeypatch.setattr(place, lambda number=number: number)
    places = {
        "work": study / "work", "run": study / conditions.RUN, "scans": study / "scans",
        "out": study / "out",
    }  # fmt: skip
    code, out, err = run(*row.words.format(**places).split())
    told = " ".join((out + err).split())
    assert row.seen in told
    assert code == row.code, told
    assert len(told) < 3000, "a message is no dump"
    assert "Traceback" not in told
    assert all((study / name).exists() for name in row.left)
    assert not [*study.rglob(".partial-*")]


def test_the_page_has_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert conditions.with_table(page) == page, (
        "python tests/bad_days/conditions.py docs/bad-days.md"
    )
