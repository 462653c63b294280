"""Overlay sheets: the patient lies the right way round, whatever the file's orientation."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dvcl.datasets.dataset import LabelTable
from dvcl.datasets.organs import organ_colour
from dvcl.errors import InputError
from dvcl.report.figures import png_bytes
from dvcl.report.overlays import overlay_sheet
from dvcl.volume import Volume
from dvcl.volume.turning import orient

LABELS = LabelTable.from_mapping({1: "centre", 2: "right", 4: "anterior", 6: "superior"})
SPACING_MM = (6.0, 3.0, 2.0)


@pytest.fixture(scope="module")
def case():
    """RAS+ image and label with a small organ right, in front of and above a large one."""
    shape = (14, 20, 24)
    label = np.zeros(shape, np.int32)
    label[4:9, 7:13, 8:16] = 1
    label[5:8, 8:11, 19:22] = 2
    label[5:8, 16:19, 10:14] = 4
    label[11:13, 8:12, 10:14] = 6
    affine = np.diag([*SPACING_MM[::-1], 1.0])
    image = np.random.default_rng(0).normal(0, 80, shape).astype(np.float32)
    return Volume(image, affine), Volume(label, affine)


def centre_of_colour(figure, axes, class_index):
    """Mean position of an organ's outline in a panel, (across, down) from 0 to 1."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    box = axes.get_window_extent()
    height = pixels.shape[0]
    panel = pixels[int(height - box.y1) : int(height - box.y0), int(box.x0) : int(box.x1)]
    close = np.abs(panel - to_rgb(organ_colour(class_index))).max(axis=-1) < 0.05
    assert close.any()
    down, across = np.argwhere(close).mean(axis=0) / close.shape
    return across, down


def sheet(case, **changes):
    image, label = case
    settings = {"reference": label, "predictions": {"dvcl": label}, "labels": LABELS} | changes
    figure = overlay_sheet(image, **settings)
    png_bytes(figure)
    return figure


def test_radiological_convention(case):
    figure = sheet(case)
    axial, coronal, sagittal = (figure.axes[index] for index in (0, 2, 4))
    centre = {axes: centre_of_colour(figure, axes, 1) for axes in (axial, coronal, sagittal)}
    assert centre_of_colour(figure, axial, 2)[0] < centre[axial][0], "right is on the left"
    assert centre_of_colour(figure, axial, 3)[1] < centre[axial][1], "anterior is up"
    assert centre_of_colour(figure, coronal, 4)[1] < centre[coronal][1], "superior is up"
    assert centre_of_colour(figure, coronal, 2)[0] < centre[coronal][0], "right is on the left"
    assert centre_of_colour(figure, sagittal, 3)[0] < centre[sagittal][0], "anterior is left"
    assert centre_of_colour(figure, sagittal, 4)[1] < centre[sagittal][1], "superior is up"


def test_orientation_of_the_file_changes_nothing(case):
    expected = png_bytes(overlay_sheet(*case, {}, LABELS))
    for codes in ("LPS", "PIR", "SAL"):
        turned = (orient(volume, codes) for volume in case)
        assert png_bytes(overlay_sheet(*turned, {}, LABELS)) == expected, codes


def test_panels_have_the_proportions_of_the_slices_in_mm(case):
    figure = sheet(case)
    across_mm, back_mm, up_mm = 24 * 2.0, 20 * 3.0, 14 * 6.0
    expected = (back_mm / across_mm, up_mm / across_mm, up_mm / back_mm)
    for axes, ratio in zip(figure.axes[::2], expected, strict=True):
        box = axes.get_window_extent()
        assert box.height / box.width == pytest.approx(ratio, rel=1e-3)
    scales = [axes.get_window_extent().width / axes.get_xlim()[1] for axes in figure.axes]
    assert scales == pytest.approx([scales[0]] * 6, rel=1e-3), "one scale for all panels"


def test_organs_fill_the_picture_of_a_large_volume():
    array = np.zeros((60, 60, 60), np.int32)
    array[25:35, 25:35, 25:35] = 1
    volume = Volume(array, np.diag([5.0, 5.0, 5.0, 1.0]))
    figure = overlay_sheet(volume, volume, {}, LABELS)
    assert figure.axes[0].get_xlim()[1] == pytest.approx(50 + 2 * 30)


def test_slices_are_those_with_most_organ():
    array = np.zeros((9, 9, 9), np.int32)
    array[2] = 1
    array[:, 4, 4] = 1
    image = Volume(np.where(array > 0, 200.0, -100.0), np.diag([3.0, 3.0, 3.0, 1.0]))
    figure = overlay_sheet(image, Volume(array, image.affine), {}, LABELS)
    assert (figure.axes[0].images[0].get_array() == 200).all()


def test_small_organs_choose_the_slice_as_much_as_large_ones():
    array = np.zeros((9, 30, 30), np.int32)
    array[2, :20] = 1
    array[6, :18] = 1
    array[6, 25:27, 4:6] = 2
    image = Volume(np.where(array > 0, 200.0, -100.0), np.diag([3.0, 3.0, 3.0, 1.0]))
    figure = overlay_sheet(image, Volume(array, image.affine), {}, LABELS)
    assert (figure.axes[0].images[0].get_array() == 200).sum() == 18 * 30 + 4


def test_every_edge_has_its_letter(case):
    figure = sheet(case)
    for axes, letters in zip(figure.axes[::2], ("RLAP", "RLSI", "APSI"), strict=True):
        places = {text.get_text(): text.get_position() for text in axes.texts}
        left, right, top, bottom = (places[letter] for letter in letters)
        assert left[0] < top[0] < right[0]
        assert top[1] < left[1] < bottom[1], "millimetres grow downwards"


def test_the_reference_is_outlined_over_predictions(case):
    empty = Volume(np.zeros_like(case[1].array), case[1].affine)
    reference, prediction = sheet(case, predictions={"dvcl": empty}).axes[:2]

    def outlines(axes):
        edged = ((c, c.get_edgecolor()) for c in axes.collections)
        return [c for c, edges in edged if len(edges) and (edges == 1).all()]

    assert not outlines(reference)
    assert len(outlines(prediction)) == 3, "three organs of the reference lie in this slice"
    (alone,) = sheet(case, reference=None).axes[:1]
    assert not outlines(alone)


def test_long_names_stay_within_their_column(case):
    name = "supervised, a long name of a group, seed 10: 77.7 %"
    figure = sheet(case, predictions=dict.fromkeys((name, f"{name} "), case[1]))
    renderer = figure.canvas.get_renderer()
    extents = [axes.title.get_window_extent(renderer) for axes in figure.axes[:3]]
    assert all(a.x1 < b.x0 for a, b in pairwise(extents))


def test_columns_are_named(case):
    label = case[1]
    figure = sheet(case, predictions={"mean teacher": label, "dvcl": label})
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["Reference", "mean teacher", "dvcl"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(LABELS.organs)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_image_alone_and_without_organs(case, modality):
    empty = Volume(np.zeros_like(case[1].array), case[1].affine)
    assert len(sheet(case, reference=None, predictions={}, modality=modality).axes) == 3
    assert len(sheet(case, reference=None, predictions={"dvcl": empty}).axes) == 3


def test_other_grids_and_unknown_values_are_refused(case):
    image, label = case
    smaller = Volume(label.array[1:], label.affine)
    with pytest.raises(InputError, match="dvcl has the shape"):
        sheet(case, predictions={"dvcl": smaller})
    with pytest.raises(InputError, match=r"dvcl: label values 5"):
        sheet(case, predictions={"dvcl": Volume(np.full_like(label.array, 5), image.affine)})


def test_real_case(real_data, tmp_path):
    from dvcl.report.figures import save_png
    from dvcl.volume import read_label, read_volume

    labels = LabelTable.from_mapping(dict(enumerate("abcdefg", start=1)))
    folder = real_data / "headneck/test"
    image = read_volume(folder / "images/hn_017.nii.gz")
    label = read_label(folder / "labels/hn_017.nii.gz")
    save_png(overlay_sheet(image, label, {"dvcl": label}, labels), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 100_000
