"""Scores of cases: what is refused, what the rows hold, and the CSV round trip."""

import math

import numpy as np
import pytest

from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.evaluation.cases import (
    CaseScore,
    evaluate_case,
    evaluate_folders,
    read_scores,
    write_scores,
)
from dvcl.volume import Volume, write_volume

LABELS = LabelTable((0, 3, 7, 9), ("background", "liver", "spleen", "pancreas"))
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


def volume(boxes, affine=AFFINE, shape=(6, 10, 10)):
    """Label map with a value in each box of rows along H."""
    array = np.zeros(shape, dtype=np.int32)
    for value, rows in boxes.items():
        array[:, rows] = value
    return Volume(array, affine)


REFERENCE = volume({3: slice(0, 4), 7: slice(6, 8)})
PREDICTION = volume({3: slice(1, 5), 9: slice(8, 9)})


@pytest.fixture
def folders(tmp_path):
    """Three references and their predictions, one uncompressed."""
    for name in ("a", "b", "c"):
        write_volume(tmp_path / f"references/{name}.nii.gz", REFERENCE)
        suffix = ".nii" if name == "b" else ".nii.gz"
        write_volume(tmp_path / f"predictions/{name}{suffix}", PREDICTION)
    return tmp_path / "predictions", tmp_path / "references"


def test_one_row_per_organ_with_scores_and_volumes():
    liver, spleen, pancreas = evaluate_case("a", REFERENCE, PREDICTION, LABELS)
    row_ml = 6 * 10 * 0.02
    assert (liver.case, liver.organ) == ("a", "liver")
    assert liver.dice == pytest.approx(3 / 4)
    assert liver.jaccard == pytest.approx(3 / 5)
    assert liver.reference_ml == pytest.approx(4 * row_ml)
    assert (spleen.dice, spleen.jaccard, spleen.predicted_ml) == (0, 0, 0)
    assert math.isnan(pancreas.dice)
    assert math.isnan(pancreas.jaccard)


def test_false_positive_stays_visible():
    pancreas = evaluate_case("a", REFERENCE, PREDICTION, LABELS)[2]
    assert pancreas.reference_ml == 0
    assert pancreas.predicted_ml == pytest.approx(6 * 10 * 0.02)


def test_perfect_prediction():
    liver, spleen, pancreas = evaluate_case("a", REFERENCE, REFERENCE, LABELS)
    assert liver.dice == liver.jaccard == spleen.dice == spleen.jaccard == 1
    assert pancreas.reference_ml == pancreas.predicted_ml == 0


def test_other_shape_is_refused():
    with pytest.raises(
        InputError, match=r"a: prediction has the shape \(6, 10, 9\).*\(6, 10, 10\)"
    ):
        evaluate_case("a", REFERENCE, volume({}, shape=(6, 10, 9)), LABELS)


@pytest.mark.parametrize(("shift_mm", "accepted"), [(0.4, True), (0.6, False)])
def test_other_position_is_refused_beyond_half_a_millimetre(shift_mm, accepted):
    moved = AFFINE.copy()
    moved[0, 3] += shift_mm
    prediction = Volume(PREDICTION.array, moved)
    if accepted:
        assert evaluate_case("a", REFERENCE, prediction, LABELS)
    else:
        with pytest.raises(InputError, match=r"0\.6 mm apart"):
            evaluate_case("a", REFERENCE, prediction, LABELS)


def test_other_orientation_of_the_same_shape_is_refused():
    flipped = np.diag([-2.0, 2.0, 5.0, 1.0])
    with pytest.raises(InputError, match=r"LAS.*RAS"):
        evaluate_case("a", REFERENCE, Volume(PREDICTION.array, flipped), LABELS)


def test_unknown_values_are_refused_with_their_side():
    with pytest.raises(InputError, match=r"a: prediction.*5"):
        evaluate_case("a", REFERENCE, volume({5: slice(0, 1)}), LABELS)


def test_folders_are_matched_by_name_and_reported(folders):
    seen = []
    scores = evaluate_folders(*folders, LABELS, lambda *step: seen.append(step))
    assert [score.case for score in scores] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert scores[0] == evaluate_case("a", REFERENCE, PREDICTION, LABELS)[0]
    assert seen == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]


def test_predictions_without_reference_are_left_alone(folders):
    write_volume(folders[0] / "further.nii.gz", PREDICTION)
    assert len(evaluate_folders(*folders, LABELS)) == 9


def test_all_missing_predictions_are_listed(folders):
    (folders[0] / "a.nii.gz").unlink()
    (folders[0] / "c.nii.gz").unlink()
    with pytest.raises(InputError) as error:
        evaluate_folders(*folders, LABELS)
    assert len(error.value.problems) == 2
    assert "2 of 3 predictions missing" in str(error.value)
    assert all(f"{name}.nii.gz" in str(error.value) for name in "ac")


def test_all_faulty_cases_are_listed(folders):
    write_volume(folders[0] / "a.nii.gz", volume({}, shape=(6, 10, 9)))
    write_volume(folders[1] / "c.nii.gz", volume({5: slice(0, 1)}))
    with pytest.raises(InputError) as error:
        evaluate_folders(*folders, LABELS)
    assert [problem[:2] for problem in error.value.problems] == ["a:", "c:"]


def test_a_case_that_is_there_twice_is_refused(folders):
    write_volume(folders[0] / "a.nii", PREDICTION)
    with pytest.raises(InputError, match=r"a\.nii and a\.nii\.gz are the same case"):
        evaluate_folders(*folders, LABELS)


@pytest.mark.parametrize("create", [True, False])
def test_empty_and_missing_folders_are_refused(folders, tmp_path, create):
    empty = tmp_path / "empty"
    if create:
        empty.mkdir()
    with pytest.raises(InputError, match=r"empty: no (such folder|volume)"):
        evaluate_folders(empty, folders[1], LABELS)


def test_csv_round_trip_is_exact(tmp_path):
    scores = [
        CaseScore("a", "liver", 1 / 3, math.nan, 0.1 + 0.2, 1e-17),
        CaseScore('b, "c"', "rechte Niere, é", 0.0, 1.0, 123456.789, 0.0),
    ]
    write_scores(tmp_path / "cases.csv", scores)
    # repr, because NaN differs from itself.
    assert repr(read_scores(tmp_path / "cases.csv")) == repr(scores)


def test_csv_is_plain(tmp_path):
    write_scores(tmp_path / "cases.csv", [CaseScore("a", "liver", math.nan, math.nan, 0.0, 2.5)])
    assert (tmp_path / "cases.csv").read_text(encoding="utf-8") == (
        "case,organ,dice,jaccard,reference_ml,predicted_ml\na,liver,,,0.0,2.5\n"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its columns are none"),
        (b"case,dice\n", "its columns are case, dice"),
        (b"case,organ,dice,jaccard,reference_ml,predicted_ml\na,liver,x,,0,0\n", "line 2"),
        (b"case,organ,dice,jaccard,reference_ml,predicted_ml\na,liver,1\n", "line 2"),
        (b"case,organ\n\xff\xfe", "not a CSV file in UTF-8"),
    ],
)
def test_broken_csv_is_refused(tmp_path, content, message):
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_scores(tmp_path / "cases.csv")


def test_missing_csv_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_scores(tmp_path / "cases.csv")
