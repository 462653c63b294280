"""Overlap against MONAI, against hand-made cases and by its laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dvcl.evaluation.overlap import agreement, confusion_matrix, dice, jaccard

pairs = st.integers(1, 5).flatmap(
    lambda side: st.tuples(
        *[arrays(np.uint8, (2, side, 3), elements=st.integers(0, 3)) for _ in range(2)]
    )
)


def blobs(seed, classes=5, shape=(9, 11, 8)):
    generator = np.random.default_rng(seed)
    return generator.integers(0, classes, shape).astype(np.uint8)


def one_hot(array, classes):
    encoded = torch.nn.functional.one_hot(torch.from_numpy(array).long(), classes)
    return encoded.movedim(-1, 0)[None]


def test_confusion_counts_every_pair():
    reference = np.array([[[0, 0, 1, 2]]])
    prediction = np.array([[[0, 1, 1, 0]]])
    expected = [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert confusion_matrix(reference, prediction, 3).tolist() == expected


def test_small_integer_types_do_not_overflow():
    reference = np.full((2, 2, 2), 254, dtype=np.uint8)
    confusion = confusion_matrix(reference, reference, 255)
    assert confusion[254, 254] == confusion.sum() == 8


@given(pairs)
@settings(max_examples=40, deadline=None)
def test_confusion_equals_a_loop(pair):
    reference, prediction = pair
    expected = np.zeros((4, 4), dtype=np.int64)
    for place in np.ndindex(reference.shape):
        expected[reference[place], prediction[place]] += 1
    assert (confusion_matrix(reference, prediction, 4) == expected).all()


@given(pairs)
@settings(max_examples=40, deadline=None)
def test_dice_and_jaccard_determine_each_other(pair):
    confusion = confusion_matrix(*pair, 4)
    np.testing.assert_allclose(dice(confusion), 2 * jaccard(confusion) / (1 + jaccard(confusion)))


def test_hand_made_case():
    reference, prediction = np.zeros((2, 1, 4, 5), dtype=np.uint8)
    reference[0, :2, :2] = 1
    prediction[0, :2, 1:4] = 1
    confusion = confusion_matrix(reference, prediction, 2)
    assert dice(confusion)[1] == pytest.approx(2 * 2 / (4 + 6))
    assert jaccard(confusion)[1] == pytest.approx(2 / 8)


def test_undefined_only_where_the_reference_lacks_the_class():
    reference = np.array([[[0, 0, 1, 1]]])
    prediction = np.array([[[0, 2, 0, 0]]])
    confusion = confusion_matrix(reference, prediction, 4)
    for score in (dice(confusion), jaccard(confusion)):
        assert score[1] == 0, "a missed organ scores 0"
        assert np.isnan(score[2]), "a false positive has no overlap to measure"
        assert np.isnan(score[3]), "absent in both is no success"


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_monai(seed):
    from monai.metrics import compute_dice, compute_iou

    reference, prediction = blobs(seed), blobs(seed + 100)
    prediction[reference == 1] = 1
    reference[reference == 4] = 0
    confusion = confusion_matrix(reference, prediction, 5)
    encoded = one_hot(prediction, 5), one_hot(reference, 5)
    np.testing.assert_allclose(dice(confusion), compute_dice(*encoded)[0], rtol=1e-6)
    np.testing.assert_allclose(jaccard(confusion), compute_iou(*encoded)[0], rtol=1e-6)


@pytest.mark.parametrize("wrong", [np.full((1, 1, 2), 3), np.full((1, 1, 2), -1)])
def test_indices_outside_the_classes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"outside 0\.\.2"):
        confusion_matrix(np.zeros((1, 1, 2), int), wrong, 3)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes differ"):
        confusion_matrix(np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), 2)


def test_agreement_counts_what_one_map_alone_shows_as_0() -> None:
    one, other = np.array([[[0, 1, 1, 2]]]), np.array([[[0, 1, 3, 3]]])
    for confusion in (confusion_matrix(one, other, 5), confusion_matrix(other, one, 5)):
        assert agreement(confusion) == pytest.approx([1, 2 / 3, 0, 0, np.nan], nan_ok=True)
