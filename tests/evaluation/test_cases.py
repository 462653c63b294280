"""Scores of cases: what is refused, and what the rows hold."""

import math

import numpy as np
import pytest

from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.evaluation.cases import evaluate_case, evaluate_folders
from dvcl.volume import Volume, write_volume
from dvcl.volume.turning import orient

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


def test_a_missed_organ_lies_as_far_away_as_the_volume_is_large():
    spleen = evaluate_case("a", REFERENCE, PREDICTION, LABELS)[1]
    diagonal_mm = math.hypot(6 * 5, 10 * 2, 10 * 2)
    for distance_mm in (spleen.hd95_mm, spleen.hd95_pooled_mm, spleen.assd_mm):
        assert distance_mm == pytest.approx(diagonal_mm)
    assert (spleen.nsd, spleen.volume_error) == (0, -1)


def test_an_absent_organ_has_no_score_but_that_of_the_published_convention():
    pancreas = evaluate_case("a", REFERENCE, PREDICTION, LABELS)[2]
    scores = (pancreas.hd95_mm, pancreas.hd95_pooled_mm, pancreas.assd_mm, pancreas.nsd)
    assert all(map(math.isnan, (*scores, pancreas.volume_error)))
    assert pancreas.dice_absent_1 == 0
    nothing = volume({3: slice(1, 5)})
    assert evaluate_case("a", REFERENCE, nothing, LABELS)[2].dice_absent_1 == 1


def test_an_organ_that_is_not_annotated_has_no_score():
    rows = evaluate_case("a", REFERENCE, PREDICTION, LABELS, unannotated=("spleen", "pancreas"))
    whole = evaluate_case("a", REFERENCE, PREDICTION, LABELS)
    assert rows[0] == whole[0]
    for row, full in zip(rows[1:], whole[1:], strict=True):
        assert (row.organ, row.predicted_ml) == (full.organ, full.predicted_ml)
        assert (row.tolerance_mm, row.case) == (full.tolerance_mm, "a")
        scores = vars(row).keys() - {"case", "organ", "predicted_ml", "tolerance_mm"}
        assert all(math.isnan(getattr(row, name)) for name in scores)


def test_distances_are_millimetres_of_the_reference():
    liver = evaluate_case("a", REFERENCE, PREDICTION, LABELS, tolerance_mm=2.0)[0]
    # The box moves by one row of 2 mm: no surface voxel is further away.
    assert liver.hd95_mm == pytest.approx(2)
    assert (liver.nsd, liver.tolerance_mm, liver.volume_error) == (1, 2, 0)
    strict = evaluate_case("a", REFERENCE, PREDICTION, LABELS, tolerance_mm=1.9)[0]
    assert 0 < strict.nsd < 1


def test_perfect_prediction():
    liver, spleen, pancreas = evaluate_case("a", REFERENCE, REFERENCE, LABELS)
    assert liver.dice == liver.jaccard == spleen.dice == spleen.jaccard == 1
    assert pancreas.reference_ml == pancreas.predicted_ml == 0
    assert liver.hd95_mm == liver.assd_mm == 0
    assert liver.nsd == 1


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


@pytest.mark.parametrize("codes", ["LPS", "PIR", "SAL"])
def test_other_order_or_direction_of_the_axes_changes_nothing(codes):
    turned = orient(PREDICTION, codes)
    assert turned.shape != PREDICTION.shape or codes == "LPS"
    assert str(evaluate_case("a", REFERENCE, turned, LABELS)) == str(
        evaluate_case("a", REFERENCE, PREDICTION, LABELS)
    )


def test_unknown_values_are_refused_with_their_side():
    with pytest.raises(InputError, match=r"a: prediction.*5"):
        evaluate_case("a", REFERENCE, volume({5: slice(0, 1)}), LABELS)


def test_folders_are_matched_by_name_and_reported(folders):
    seen = []
    scores = evaluate_folders(*folders, LABELS, lambda *step: seen.append(step))
    assert [score.case for score in scores] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert scores[0] == evaluate_case("a", REFERENCE, PREDICTION, LABELS)[0]
    assert seen == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]


def test_references_with_one_mask_per_organ_score_as_their_label_map(folders):
    label_maps = evaluate_folders(*folders, LABELS)
    masks = folders[1].parent / "masks"
    for case in ("a", "b/segmentations", "c"):
        for organ, value in (("liver", 3), ("spleen", 7), ("pancreas", 9)):
            array = (REFERENCE.array == value).astype(np.int32)
            write_volume(masks / case / f"{organ}.nii.gz", Volume(array, AFFINE))
    assert repr(evaluate_folders(folders[0], masks, LABELS)) == repr(label_maps)  # NaN is not NaN


def test_an_organ_without_its_mask_was_not_looked_for(folders):
    masks = folders[1].parent / "masks"
    array = (REFERENCE.array == 3).astype(np.int32)
    write_volume(masks / "a/liver.nii.gz", Volume(array, AFFINE))
    liver, spleen, pancreas = evaluate_folders(folders[0], masks, LABELS)
    assert liver.dice == pytest.approx(3 / 4)
    for organ in (spleen, pancreas):
        assert math.isnan(organ.dice)
        assert math.isnan(organ.reference_ml)
    assert pancreas.predicted_ml == pytest.approx(6 * 10 * 0.02)


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


def test_some_cases_may_be_chosen(folders):
    (folders[0] / "a.nii.gz").unlink()
    everything = evaluate_folders(*folders, LABELS, cases=["c", "b"])
    assert [score.case for score in everything[::3]] == ["b", "c"]
    with pytest.raises(InputError) as error:
        evaluate_folders(*folders, LABELS, cases=["b", "x", "y"])
    assert [problem[:2] for problem in error.value.problems] == ["x:", "y:"]
    assert "['a', 'b', 'c']" in str(error.value)


def test_all_faulty_cases_are_listed(folders):
    write_volume(folders[0] / "a.nii.gz", volume({}, shape=(6, 10, 9)))
    write_volume(folders[1] / "c.nii.gz", volume({5: slice(0, 1)}))
    with pytest.raises(InputError) as error:
        evaluate_folders(*folders, LABELS)
    assert [problem[:2] for problem in error.value.problems] == ["a:", "c:"]


def test_a_case_that_is_there_twice_is_refused(folders):
    write_volume(folders[0] / "a.nii", PREDICTION)
    with pytest.raises(InputError, match=r"a\.nii\.gz: a\.nii is the same case"):
        evaluate_folders(*folders, LABELS)


@pytest.mark.parametrize("create", [True, False])
def test_empty_and_missing_folders_are_refused(folders, tmp_path, create):
    empty = tmp_path / "empty"
    if create:
        empty.mkdir()
    with pytest.raises(InputError, match=r"empty: (no such folder|holds no volumes)"):
        evaluate_folders(empty, folders[1], LABELS)
