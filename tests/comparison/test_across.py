"""Every method in every group, on one table."""

import pytest

from dvcl.comparison.across import across_groups
from dvcl.comparison.findings import collect, write_findings

CASES = [f"case{index}" for index in range(12)]


@pytest.fixture
def records(make_record):
    def run(method, dice, group, **rest):
        scores = {case: dice + 0.01 * index for index, case in enumerate(CASES)}
        return make_record(method, scores, group=group, **rest)

    return [
        *(run("supervised", 0.5 + 0.01 * seed, "five", seed=seed) for seed in (0, 1)),
        *(run("dvcl", dice, "five", seed=seed) for seed, dice in enumerate((0.8, 0.82))),
        *(run("cps", dice, "five", seed=seed) for seed, dice in enumerate((0.55, 0.8))),
        run("supervised", 0.7, "nine"),
        run("dvcl", 0.7, "nine"),
        run("cps", 0.4, "nine"),
        run("dvcl", 0.3, "five", varied=("methods.dvcl.neighbours=5",)),
        *(run(method, 0.3, "five", varied=("training.rate=0.5",)) for method in ("cps", "dvcl")),
    ]


def test_a_method_has_its_mean_in_every_group_and_a_star_where_the_difference_is_sure(records):
    table = across_groups(collect(records)).overview
    assert table.columns == ("Method", "study: five", "study: nine")
    assert table.rows == (
        ("supervised", "56.00 ± 0.71", "75.50"),
        ("dvcl", "86.50 ± 1.41 *", "75.50"),
        ("cps", "73.00 ± 17.68 †", "45.50"),
    )
    assert table.strong == {(1, 1), (0, 2), (1, 2)}
    assert table.caption.startswith("Mean test Dice in percent")
    assert "from one training there is no verdict" in table.caption
    assert table.caption.endswith("† with a collapsed training.")


def test_it_is_written_where_there_are_several_groups(records, tmp_path):
    findings = collect(records)
    write_findings(tmp_path, records, findings, across_groups(findings).tables)
    assert "## All groups" in (tmp_path / "overview.md").read_text(encoding="utf-8")
    assert not (tmp_path / "labels.md").exists(), "all have one number of labelled cases"


def test_one_group_has_no_overview(records):
    five = [record for record in records if record.entry.group == "five"]
    assert across_groups(collect(five)).overview is None
