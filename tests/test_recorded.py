"""The recorded results: the tables beside them follow from them, and name no machine's paths."""

import itertools
import re
from pathlib import Path

import pytest

from dvcl.comparison.across import across_groups
from dvcl.comparison.findings import collect, write_findings
from dvcl.comparison.records import RUNS, read_records
from dvcl.comparison.tables import tables_of_folder
from dvcl.evaluation.statistics import Trainings, compare_pairs
from dvcl.evaluation.summary import summarise

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
def test_no_method_is_called_better_or_worse_than_itself(runs: Path) -> None:
    """Over cases alone, 28 of 49 pairs of one method's seeds on the hippocampus differ."""
    seeds: dict[tuple[str, str], list[Trainings]] = {}
    for record in read_records(runs.parent):
        scored = [summarise(record.scores).case_dice]
        seeds.setdefault((record.entry.group, record.entry.method), []).append(scored)
    pairs = [pair for rows in seeds.values() for pair in itertools.combinations(rows, 2)]
    found = [compare_pairs({"one": pair})["one"] for pair in pairs]
    assert {row.verdict for row in found} <= {"cannot tell"}
    assert {row.trainings for row in found} <= {1}


@pytest.mark.parametrize("runs", RECORDED, ids=lambda path: path.parent.name)
def test_records_name_no_place_of_a_machine(runs: Path) -> None:
    for path in runs.parent.iterdir():
        assert not re.search(r'"/\w|[,\s]/\w+/', path.read_text()), path
