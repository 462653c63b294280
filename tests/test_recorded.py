"""The recorded results: pages follow from them, and they name no machine's paths."""

import itertools
import re
from pathlib import Path

import pytest

from dvcl.commands.results import shared_tables, study_page, update, with_tables
from dvcl.comparison.records import RUNS, read_records
from dvcl.errors import InputError
from dvcl.evaluation.statistics import Trainings, compare_pairs
from dvcl.evaluation.summary import summarise

DOCS = Path(__file__).parents[1] / "docs"
RECORDED = sorted(DOCS.glob(f"recorded/*/{RUNS}"))


def test_pages_are_what_the_records_give() -> None:
    """Where this fails, `make results` writes them anew."""
    pages = update(DOCS)
    assert {path.stem for path in pages} >= {runs.parent.name for runs in RECORDED}
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: make results"


def test_a_page_says_what_was_run_and_every_number_of_it() -> None:
    page = study_page(RECORDED[0].parent)
    for heading in ("## What was run", "### Differences", "### Dice by organ", "### Cost"):
        assert heading in page
    assert "/recorded/headneck)" in page
    assert "Did the unlabelled scans help dvcl?" in page
    assert "Did a second network and the unlabelled scans help dvcl?" in page


@pytest.mark.parametrize("runs", RECORDED, ids=lambda path: path.parent.name)
def test_other_pages_may_show_the_tables_of_a_study(runs: Path) -> None:
    study, groups = runs.parent, {record.entry.group for record in read_records(runs.parent)}
    tables = shared_tables(study)
    expected = {"means", "organs", "differences", "runs"} if len(groups) == 1 else {"runs"}
    assert {name for _, name in tables} >= expected
    for table in tables.values():
        assert table.strip() in study_page(study)


def test_tables_are_put_between_their_markers() -> None:
    page = "before\n<!-- a overview -->\nold\n<!-- end -->\nafter\n"
    made = with_tables(page, {("a", "overview"): "| new |\n"})
    assert made == "before\n<!-- a overview -->\n\n| new |\n\n<!-- end -->\nafter\n"
    assert with_tables(made, {("a", "overview"): "| new |\n"}) == made
    with pytest.raises(InputError, match=r"<!-- b overview --> names no table; one of a overview"):
        with_tables(page.replace("a overview", "b overview"), {("a", "overview"): ""})


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
