"""Means over cases, then over organs, with what is undefined counted."""

import math
from dataclasses import replace

import pytest

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.summary import summarise

NAN = math.nan


def row(case, organ, dice, predicted_ml=1.0):
    """A score; Jaccard follows from Dice, NaN means that the reference lacks the organ."""
    absent = math.isnan(dice)
    return CaseScore(case, organ, dice, dice / (2 - dice), 0.0 if absent else 1.0, predicted_ml)


SCORES = [
    row("a", "liver", 0.9),
    row("a", "spleen", 0.6),
    row("b", "liver", 0.8),
    row("b", "spleen", NAN),
    row("c", "liver", 0.7),
    row("c", "spleen", NAN, predicted_ml=0.0),
]


def test_organ_means_and_sample_sd():
    liver, spleen = summarise(SCORES).organs
    assert liver.dice.mean == pytest.approx(0.8)
    assert liver.dice.sd == pytest.approx(0.1)
    assert (liver.dice.defined, liver.dice.undefined) == (3, 0)
    assert spleen.dice.mean == pytest.approx(0.6)
    assert math.isnan(spleen.dice.sd), "one case has no spread"
    assert (spleen.dice.defined, spleen.dice.undefined) == (1, 2)


def test_false_positives_are_cases_without_the_organ_but_with_a_prediction():
    assert [organ.false_positives for organ in summarise(SCORES).organs] == [0, 1]


def test_missed_are_organs_of_the_reference_of_which_the_prediction_has_no_voxel():
    nowhere = [row("d", organ, 0.0, predicted_ml=0.0) for organ in ("liver", "spleen")]
    elsewhere, unknown = row("e", "liver", 0.0), row("f", "liver", 0.0, predicted_ml=NAN)
    summary = summarise([*SCORES, *nowhere, elsewhere, unknown])
    assert [organ.missed for organ in summary.organs] == [1, 1]
    assert summary.missed == (2, 8), "absent organs cannot be missed"


def test_every_organ_weighs_the_same():
    summary = summarise(SCORES)
    assert summary.mean_dice == pytest.approx((0.8 + 0.6) / 2)
    jaccards = [sum(d / (2 - d) for d in (0.9, 0.8, 0.7)) / 3, 0.6 / 1.4]
    assert summary.mean_jaccard == pytest.approx(sum(jaccards) / 2)


def test_case_means_and_ranking():
    summary = summarise([*SCORES, row("d", "liver", NAN), row("d", "spleen", NAN)])
    assert summary.cases == 4
    assert summary.case_dice["a"] == pytest.approx(0.75)
    assert math.isnan(summary.case_dice["d"])
    assert summary.ranking == ("b", "a", "c")


def test_equal_cases_keep_their_order():
    assert summarise([row(case, "liver", 0.5) for case in "cab"]).ranking == ("c", "a", "b")


def test_an_organ_that_no_case_has_is_left_out_of_the_mean_and_counted():
    summary = summarise([*SCORES, row("a", "pancreas", NAN)])
    assert math.isnan(summary.organs[2].dice.mean)
    assert summary.mean_dice == pytest.approx(0.7)
    assert (summary.organs_defined, len(summary.organs)) == (2, 3)


def test_no_scores_at_all():
    summary = summarise([])
    assert summary.cases == 0
    assert math.isnan(summary.mean_dice)
    assert summary.ranking == ()


def test_distances_are_averaged_like_overlaps():
    rows = [
        replace(row(case, organ, 0.5), hd95_mm=hd95, assd_mm=hd95 / 2, nsd=0.25)
        for case, organ, hd95 in (("a", "liver", 2.0), ("b", "liver", 4.0), ("a", "spleen", 9.0))
    ]
    summary = summarise(rows)
    assert summary.organs[0].hd95_mm.mean == 3
    assert summary.mean_hd95_mm == 6
    assert (summary.mean_assd_mm, summary.mean_nsd) == (3, 0.25)
