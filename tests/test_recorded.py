"""The recorded results: the tables beside them follow from them, and name no machine's paths."""

import re
from pathlib import Path

import pytest

from dvcl.comparison.across import across_groups
from dvcl.comparison.findings import collect, write_findings
from dvcl.comparison.records import RUNS, read_records
from dvcl.comparison.tables import tables_of_folder

RECORDED = sorted(Path(__file__).parents[1].glob(f"docs/recorded/*/{RUNS}"))


@pytest.mark.parametrize("runs", RECORDED, ids=lambda path: path.parent.name)
def test_tables_are_what_the_records_give(runs: Path, tmp_path: Path) -> None:
    records = read_records(runs.parent)
    findings = collect(records)
    write_findings(tmp_path, records, findings, across_groups(findings).tables)
    tables_of_folder(runs.parent, "all", with_paper=True, out=tmp_path)
    tables = sorted(path.name for path in runs.parent.glob("*.md"))
    assert "means.md" in tables
    for table in tables:
        assert (runs.parent / table).read_text() == (tmp_path / table).read_text(), table


@pytest.mark.parametrize("runs", RECORDED, ids=lambda path: path.parent.name)
def test_records_name_no_place_of_a_machine(runs: Path) -> None:
    for path in runs.parent.iterdir():
        assert not re.search(r'"/\w|[,\s]/\w+/', path.read_text()), path
