"""A case side by side: which sections are shown, and what stands where."""

import numpy as np
import pytest

from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.report.case_sheet import best_sections, case_sheet
from dvcl.report.figures import png_bytes
from dvcl.volume import Volume

LABELS = LabelTable.from_mapping({1: "liver", 2: "spleen", 3: "aorta"})


def slabs():
    """Three organs one above the other, each largest in its middle."""
    classes = np.zeros((30, 12, 12), np.uint8)
    for index, middle in enumerate((4, 14, 25), start=1):
        for offset in range(-3, 4):
            size = 5 - abs(offset)
            classes[middle + offset, 3 : 3 + size, 3 : 3 + size] = index
    return classes


def test_every_organ_is_shown_where_it_is_large():
    cuts = best_sections(slabs())
    assert np.abs(np.subtract(cuts, (4, 14, 25))).max() <= 1


def test_no_section_is_wasted_on_an_edge_of_few_organs():
    classes = np.where(slabs() > 2, 0, slabs())
    cuts = best_sections(classes)
    areas = [np.count_nonzero(classes[cut]) for cut in cuts]
    assert min(areas) >= 4
    assert min(np.diff(cuts)) >= 2, "apart from each other"


def test_flat_organs_have_fewer_sections():
    classes = np.zeros((5, 4, 4), np.uint8)
    classes[2, 1:3, 1:3] = 1
    assert best_sections(classes) == [2]


def test_without_an_organ_sections_are_spread_and_space_is_empty(volumes):
    image, reference = volumes
    empty = Volume(np.zeros_like(reference.array), reference.affine)
    assert len(best_sections(empty.array)) == 3
    figure = case_sheet(image, empty, {}, LABELS)
    assert (figure.axes[-1].images[0].get_array() == 1).all()


@pytest.fixture(scope="module")
def volumes():
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    image = np.random.default_rng(0).normal(0, 80, (30, 12, 12)).astype(np.float32)
    return Volume(image, affine), Volume(slabs(), affine)


def test_rows_are_sections_and_space_and_columns_reference_and_methods(volumes):
    image, reference = volumes
    worse = Volume(np.where(reference.array == 2, 0, reference.array), reference.affine)
    figure = case_sheet(image, reference, {"cps\nDice 70 %": worse, "dvcl": reference}, LABELS)
    png_bytes(figure)
    assert len(figure.axes) == 4 * 3
    notes = [text.get_text() for axes in figure.axes[:3] for text in axes.texts]
    assert {"Reference", "cps", "Dice 70 %", "dvcl"} <= set(notes)
    spaces = [axes.images[0].get_array() for axes in figure.axes[-3:]]
    assert (spaces[0] == spaces[2]).all(), "one camera for all columns"
    assert not (spaces[0] == spaces[1]).all(), "the missing organ shows"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(LABELS.organs)


def test_another_grid_is_refused(volumes):
    image, reference = volumes
    moved = Volume(reference.array, np.diag([3.0, 2.0, 4.0, 1.0]))
    with pytest.raises(InputError, match="dvcl"):
        case_sheet(image, reference, {"dvcl": moved}, LABELS)
