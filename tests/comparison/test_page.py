"""The page of a comparison and its twin for programs, from records whose runs are elsewhere."""

import json
import math

import pytest

from dvcl.comparison.across import across_groups
from dvcl.comparison.choice import Chosen
from dvcl.comparison.findings import collect
from dvcl.comparison.page import write_comparison_page

CASES = [f"case{i}" for i in range(6)]
LIVER = {case: 0.6 + i / 50 for i, case in enumerate(CASES)}
SPLEEN = {case: math.nan if i else 0.5 for i, case in enumerate(CASES)}


@pytest.fixture
def written(make_record, tmp_path):
    better = {case: dice + 0.1 + i / 99 for i, (case, dice) in enumerate(LIVER.items())}
    records = [
        make_record("supervised", LIVER, SPLEEN, peak_mib=512.0),
        make_record("dvcl", better, SPLEEN, seconds=3.0),
        make_record("dvcl", better, SPLEEN, seed=1, seconds=5.0, made_with={"threads": "2"}),
        make_record("dvcl", LIVER, SPLEEN, varied=("methods.dvcl.neighbours=5",)),
    ]
    findings = collect(records)
    across = across_groups(findings)
    write_comparison_page(tmp_path, records, findings, across, "all", Chosen(organs=("spleen",)))
    return tmp_path


def test_the_page_has_everything_in_its_order(written):
    page = (written / "index.html").read_text(encoding="utf-8")
    places = [
        page.index(text)
        for text in (
            "study: five<", "Mean Dice over 2 organs", "Against supervised", "Dice of every test",
            "Validation during training", "The same of spleen.", "One case: case", "Worst cases",
            ">Cost<", ">Data<", "study: five, variants<", "Against the same method unchanged",
            "What methods.dvcl.neighbours does", "Settings and versions",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert page.count("folders are not here") == 2, "neither sections nor worst cases"
    assert "times do not compare" in page
    assert "http" not in page.replace("http-equiv", "")


def test_figures_lie_beside_it_for_papers(written):
    names = {path.name for path in written.iterdir()}
    for stem in (
        "boxes, study, five", "validation, study, five", "validation of organs, study, five",
        "setting, methods.dvcl.neighbours, study, five, variants",
    ):  # fmt: skip
        assert {f"{stem}.png", f"{stem}.pdf"} <= names


def test_the_twin_holds_the_numbers(written):
    report = json.loads((written / "report.json").read_text(encoding="utf-8"))
    group, variants = report["groups"]
    supervised, dvcl = group["rows"]
    liver = sum(LIVER.values()) / 6
    assert supervised["mean_dice"] == {"mean": pytest.approx((liver + 0.5) / 2), "sd": None}
    assert supervised["case_dice"]["case1"] == pytest.approx(0.62)
    assert supervised["difference"] is None
    assert dvcl["seeds"] == [0, 1]
    assert dvcl["mean_dice"]["sd"] == 0
    assert dvcl["mean_hd95_mm"] == {"mean": None, "sd": None}, "NaN is null"
    assert dvcl["difference"]["verdict"] == "cannot tell", "one training of supervised"
    assert dvcl["difference"]["trainings"] == 1
    assert dvcl["difference"]["shown"] in ("higher", "cannot tell")
    assert (dvcl["last_mean_dice"]["mean"], dvcl["collapsed"]) == (None, {})
    assert dvcl["difference"]["difference"]["cases"] == 6
    assert dvcl["cost"]["relative"] == 4.0
    assert dvcl["cost"]["peak_mib"] is None
    assert dvcl["cost"]["machines"] == ["cpu, 1 thread", "cpu, 2 threads"]
    assert supervised["cost"]["peak_mib"] == 512
    spleen = group["audit"]["organs"][1]
    assert (spleen["name"], spleen["cases"]) == ("spleen", 1)
    assert group["audit"]["cases"]["unlabelled"] == ["u", "v"]
    assert variants["variants"]
    curve = variants["setting_curves"]["methods.dvcl.neighbours"]
    assert set(curve["lines"]["dvcl"]) == {"5", "10"}
    assert curve["unchanged"] == ["10"]
    assert [run["seed"] for run in report["runs"]] == [0, 0, 1, 0]


def test_settings_that_runs_share_are_told_once(make_record, tmp_path):
    records = [make_record("dvcl", LIVER, seed=seed) for seed in range(3)]
    records.append(make_record("dvcl", LIVER, seed=3, made_with={"threads": "2"}))
    findings = collect(records)
    path = write_comparison_page(tmp_path, records, findings, across_groups(findings), "all")
    page = path.read_text(encoding="utf-8")
    assert page.count("<summary>Settings of ") == 2
    assert "Settings of study: five, dvcl, seed 0 and 2 more" in page
    for record in records:
        assert f"hash of.{record.entry.title}</dt><dd>{record.hash}<" in page
