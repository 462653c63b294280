"""The paper's tables from records that are made by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from dvcl.comparison.plan import Entry, group_name
from dvcl.comparison.records import RunRecord, write_records
from dvcl.comparison.tables import build_tables, tables_of_folder
from dvcl.datasets.flare22 import FLARE22
from dvcl.errors import InputError
from dvcl.evaluation.cases import CaseScore
from dvcl.paper.tables import paper_table

FIVE = (5, 85)


def record(method="dvcl", seed=0, dice=0.8, split=FIVE, varied=(), organs=("liver", "spleen"),
           base=None, steps=300):  # fmt: skip
    """A run with two test cases; spleen is 0.2 below the first organ, Jaccard half of Dice."""
    labelled, unlabelled = split
    changed = dict(change.rpartition(".")[2].split("=") for change in varied)
    typed = {
        key: int(text) if text.isdigit() else text == "true" if text in ("true", "false") else text
        for key, text in changed.items()
    }
    scores = [
        CaseScore(case, organ, value, value / 2, 1.0, 1.0)
        for case in ("a", "b")
        for organ, value in zip(organs, (dice, dice - 0.2, *[dice] * 20), strict=False)
    ]
    return RunRecord(
        Entry(Path("hip"), method, seed, labelled, tuple(f"methods.dvcl.{v}" for v in varied),
              group_name("five", labelled, varied)),
        hash=f"{method}{seed}{split}{varied}",
        settings={
            "recipe": {
                "name": "x", "training": {"iterations": steps},
                "methods": {"dvcl": {"anchors": 64, **(base or {}), **typed}},
            },
            "split": {
                "labelled": [f"l{n}" for n in range(labelled)],
                "unlabelled": [f"u{n}" for n in range(unlabelled)], "test": ["a", "b"],
            },
        },
        made_with={}, seconds_per_step=1.0, minutes=1.0, peak_mib=None, validation=[],
        scores=scores,
    )  # fmt: skip


def rows_of(part):
    """{last name of a row: its numbers}."""
    return {row[part.names - 1]: row[part.names :] for row in part.rows}


def test_methods_by_organ_in_sections_with_spread_over_seeds():
    records = [
        record("mean_teacher", 0, 0.8), record("mean_teacher", 1, 0.9),
        record("dvcl", 0, 0.7), record("dvcl", 1, 0.7), record("dvcl", 0, 0.9, (10, 80)),
    ]  # fmt: skip
    (table,) = build_tables(records, paper_table("1"))
    assert list(table.parts) == [
        "5 labelled, 85 unlabelled; seeds 0, 1",
        "10 labelled, 80 unlabelled; seed 0",
    ]
    five, ten = table.parts.values()
    assert five.columns == ("", "Method", "liver", "spleen", "Mean Dice", "Mean Jaccard")
    # Seeds 0 and 1: means over organs 0.7 and 0.8, so 0.75 with sample SD 0.0707.
    assert rows_of(five)["MT"] == ("85.00", "65.00", "75.00 ± 7.07", "37.50 ± 3.54")
    assert rows_of(five)["Ours"] == ("70.00", "50.00", "60.00 ± 0.00", "30.00 ± 0.00")
    assert set(rows_of(five)["CPS"]) == {"not run"}
    assert five.strong == {(2, column) for column in range(2, 6)}
    assert rows_of(ten)["Ours"] == ("90.00", "70.00", "80.00", "40.00")
    assert set(rows_of(ten)["MT"]) == {"not run"}
    assert not ten.strong
    assert "over 2 test cases; 300 training steps. Means" in table.caption


def test_rows_of_a_section_have_the_same_seeds():
    few = [record("mean_teacher", seed, dice) for seed, dice in ((0, 0.8), (1, 0.9))]
    (table,) = build_tables([*few, record("dvcl", 0, 0.7)], paper_table("1"))
    ((title, part),) = table.parts.items()
    assert rows_of(part)["MT"] == ("80.00", "60.00", "70.00", "35.00"), "without seed 1"
    assert title == "5 labelled, 85 unlabelled; seed 0"
    (table,) = build_tables([*few, record("dvcl", 2, 0.7)], paper_table("1"))
    ((title, part),) = table.parts.items()
    assert rows_of(part)["MT"][2] == "75.00 ± 7.07", "no seed is shared"
    assert title.endswith("; seeds 0, 1, 2 (not all of them: MT; Ours)")


def test_collapsed_trainings_are_marked():
    records = [record("mean_teacher", seed, dice) for seed, dice in ((0, 0.8), (1, 0.2))]
    (table,) = build_tables([*records, *(record("dvcl", s, 0.7) for s in (0, 1))], paper_table("1"))
    (part,) = table.parts.values()
    assert {row[1] for row in part.rows if "†" in row[1]} == {"MT †"}
    assert table.caption.endswith("MT with seed 1 never finds spleen.")


def test_rows_of_an_ablation_are_found_by_their_settings():
    records = [
        record(dice=0.9),
        record(dice=0.8, varied=["outsiders=10"]),
        *(record(seed=seed, dice=0.7, varied=["neighbours=5", "outsiders=5"]) for seed in (0, 1)),
        record(dice=0.5, varied=["neighbours=15", "anchors=8"]),
        record("cps", dice=0.6),
    ]
    (table,) = build_tables(records, paper_table("3"))
    (part,) = table.parts.values()
    assert part.columns == ("K", "K'", "Mean Dice", "Mean Jaccard")
    means = [row[2] for row in part.rows]
    assert means == ["60.00", "not run", "70.00", "80.00", "not run"]
    assert part.strong == {(3, 2), (3, 3)}


def test_a_recipe_with_other_settings_moves_the_plain_run_to_its_row():
    records = [
        record(dice=0.9, base={"neighbours": 5, "outsiders": 10}),
        record(dice=0.8, base={"outsiders": 10}, varied=["neighbours=10"]),
    ]
    (table,) = build_tables(records, paper_table("3"))
    (part,) = table.parts.values()
    assert [row[2] for row in part.rows] == ["not run", "80.00", "70.00", "not run", "not run"]


def test_switches_of_table_2():
    records = [
        record(dice=0.9),
        record(dice=0.8, varied=["contrast=0", "entropy_weighting=false"]),
        record(dice=0.7, varied=["contrast=0"]),
    ]
    (table,) = build_tables(records, paper_table("2"))
    (part,) = table.parts.values()
    assert part.columns[:3] == ("Baseline", "EBL", "DVCL")
    assert [row[:3] for row in part.rows] == [
        ("✓", "", ""), ("✓", "✓", ""), ("✓", "", "✓"), ("✓", "✓", "✓"),
    ]  # fmt: skip
    assert [row[5] for row in part.rows] == ["70.00", "60.00", "not run", "80.00"]


def test_runs_that_differ_in_what_the_table_does_not_vary_are_refused():
    records = [record(), record(base={"queries": 8}, varied=["distance_loss=kl"])]
    with pytest.raises(InputError, match=r"method dvcl: these runs differ in .*distance_loss=kl"):
        build_tables(records, paper_table("8"))


def test_a_varied_schedule_is_not_mixed_in():
    longer = record("cps", dice=0.9, steps=600)
    entry = replace(longer.entry, varied=("training.iterations=600",))
    (table,) = build_tables([record(), replace(longer, entry=entry)], paper_table("1"))
    (part,) = table.parts.values()
    assert set(rows_of(part)["CPS"]) == {"not run"}


def test_without_a_run_all_cells_say_so():
    (table,) = build_tables([record("cps")], paper_table("fig8b"))
    (part,) = table.parts.values()
    assert {cell for row in part.rows for cell in row[1:]} == {"not run"}
    assert table.caption == "Dice in percent, nothing run yet."


def test_the_papers_means_stand_beside_ours():
    records = [record(method, organs=("anterior", "posterior")) for method in ("cps", "dvcl")]
    (table,) = build_tables(records, paper_table("1"), with_paper=True)
    (title,) = table.parts
    assert title == "5 labelled, 85 unlabelled; seed 0; paper: FLARE22, 10 %"
    part = table.parts[title]
    assert part.columns[-2:] == ("paper: Mean Dice", "paper: Mean Jaccard")
    assert rows_of(part)["CPS"][-2:] == ("79.32 ± 0.46", "68.14 ± 0.61")
    assert rows_of(part)["DAN"] == (*["not run"] * 4, "75.10 ± 0.69", "63.83 ± 0.23")
    (figure,) = build_tables([record()], paper_table("fig8b"), with_paper=True)
    assert list(figure.parts) == ["5 labelled, 85 unlabelled; seed 0"], "Fig. 8 prints no numbers"


def test_the_papers_organs_follow_where_they_are_ours():
    records = [record(split=(42, 42), organs=tuple(FLARE22.organs.values()))]
    (table,) = build_tables(records, paper_table("1"), with_paper=True)
    ours, papers = table.parts.values()
    assert list(table.parts)[1] == "paper: FLARE22, 50 %"
    assert papers.columns == ours.columns
    assert ours.columns[2:5] == ("liver", "spleen", "stomach"), "in the paper's order"
    assert rows_of(papers)["Ours"][:2] == ("96.75", "94.06")
    assert rows_of(papers)["Ours"][-4:] == ("83.40 ± 0.32", "72.65 ± 0.47", "", "")


def test_tables_of_a_folder(tmp_path):
    losses = [record(varied=[f"distance_loss={loss}"]) for loss in ("nccl", "kl")]
    write_records(tmp_path, [record(), record("cps"), *losses])
    found = tables_of_folder(tmp_path, "all", out=tmp_path / "out")
    assert [table.title.partition(":")[0] for table in found] == ["Table 1", "Table 4", "Table 8"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"table-{name}.{kind}" for name in "148" for kind in ("md", "tex", "csv")
    }
    assert "| KL             |     70.00 |" in (tmp_path / "out" / "table-8.md").read_text()
    assert len(tables_of_folder(tmp_path, "6")) == 1
    write_records(tmp_path, [record()])
    with pytest.raises(InputError, match="--table all: no runs for a table found"):
        tables_of_folder(tmp_path, "all")
    only = record(steps=600)
    entry = replace(only.entry, varied=("training.iterations=600",))
    write_records(tmp_path, [replace(only, entry=entry)])
    with pytest.raises(InputError, match="--table 1: no runs for a table found"):
        tables_of_folder(tmp_path, "1")
