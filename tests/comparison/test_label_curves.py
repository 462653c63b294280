"""What more labels are worth, over groups that differ in their number alone."""

import json

import pytest

from dvcl.comparison.across import across_groups
from dvcl.comparison.findings import collect
from dvcl.comparison.label_curves import label_curves
from dvcl.comparison.page import write_comparison_page

CASES = [f"case{index}" for index in range(6)]


@pytest.fixture
def labelled(make_record):
    """labelled(method, number, Dice of every case, ...) -> a record with so many labelled cases."""

    def make(method, number, dice, **rest):
        split = {"labelled": [f"l{index}" for index in range(number)], "test": CASES,
                 "unlabelled": ["u"], "validation": ["w"]}  # fmt: skip
        settings = {"split": split} | rest.pop("settings", {})
        scores = {case: dice + 0.01 * index for index, case in enumerate(CASES)}
        group = rest.pop("group", f"five, {number} labelled")
        return make_record(method, scores, settings=settings, group=group, **rest)

    return make


def test_lines_and_gains_of_methods_that_have_several_numbers(labelled):
    records = [
        *(labelled("supervised", number, dice) for number, dice in ((10, 0.6), (4, 0.3))),
        *(labelled("dvcl", number, dice) for number, dice in ((4, 0.5), (10, 0.55), (20, 0.7))),
        labelled("supervised", 20, 0.9),
        labelled("cps", 4, 0.4),
    ]
    (curve,) = label_curves(collect(records))
    assert curve.title == "study: five"
    assert {method: list(line) for method, line in curve.lines.items()} == {
        "supervised": [4, 10, 20],
        "dvcl": [4, 10, 20],
    }
    assert curve.lines["dvcl"][10].mean == pytest.approx(0.575)
    gains = {method: gain.difference.mean for method, gain in curve.gains.items()}
    assert gains == pytest.approx({"supervised": 0.6, "dvcl": 0.2})
    assert [(row[0], row[2]) for row in curve.table.rows] == [
        ("supervised", "+60.00"),
        ("dvcl", "+20.00"),
    ]
    assert "with 4 labelled cases instead of 20" in curve.table.caption


def test_the_points_of_a_line_have_the_same_seeds(labelled):
    few = [labelled("dvcl", 4, dice, seed=seed) for seed, dice in enumerate((0.3, 0.9))]
    (curve,) = label_curves(collect([*few, labelled("dvcl", 10, 0.6)]))
    assert curve.lines["dvcl"][4].mean == pytest.approx(0.325)
    assert curve.gains["dvcl"].difference.mean == pytest.approx(0.3)


def test_all_labelled_cases_are_a_number_too(labelled):
    records = [labelled("dvcl", 4, 0.3), labelled("dvcl", 10, 0.6, group="five")]
    (curve,) = label_curves(collect(records))
    assert list(curve.lines["dvcl"]) == [4, 10]


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"recipe": {"training": {"rate": 0.5}}}},
        {"settings": {"data": "other scans"}},
        {"varied": ("methods.dvcl.neighbours=5",)},
    ],
    ids=["settings", "data", "a variant"],
)
def test_what_differs_in_more_is_not_on_one_curve(labelled, other):
    records = [labelled("dvcl", 4, 0.3), labelled("dvcl", 10, 0.6, **other)]
    assert across_groups(collect(records)).labels == []


def test_the_page_and_its_twin_show_them(labelled, tmp_path):
    records = [labelled("dvcl", 4, 0.3), labelled("dvcl", 10, 0.6), labelled("cps", 10, 0.5)]
    findings = collect(records)
    path = write_comparison_page(tmp_path, records, findings, across_groups(findings), "done")
    assert "All groups" in path.read_text(encoding="utf-8")
    assert "study: five: what more labels are worth" in path.read_text(encoding="utf-8")
    assert {"labels, study, five.png", "labels, study, five.pdf"} <= {
        figure.name for figure in tmp_path.iterdir()
    }
    (told,) = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["labels"]
    means = {number: dice["mean"] for number, dice in told["mean_dice"]["dvcl"].items()}
    assert means == pytest.approx({"4": 0.325, "10": 0.625})
    assert told["gains"]["dvcl"]["difference"]["mean"] == pytest.approx(0.3)
