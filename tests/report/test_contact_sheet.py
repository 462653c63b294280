"""A contact sheet shows the right slices, numbers that can be checked by hand, and problems."""

import numpy as np
import pytest

from dvcl.datasets.dataset import Case, LabelTable
from dvcl.errors import InputError
from dvcl.report.contact_sheet import contact_sheet
from dvcl.report.figures import png_bytes
from dvcl.report.scan import lone_scan, scan_of_case
from dvcl.volume import Volume, write_volume
from dvcl.volume.turning import orient

LABELS = LabelTable.from_mapping({2: "liver", 5: "cyst", 9: "spleen"})
SPACING_MM = (4.0, 3.0, 2.0)
LPI = np.diag([-2.0, -3.0, -4.0, 1.0])


def volumes() -> tuple[Volume, Volume]:
    image = np.full((12, 40, 50), -1000, np.float32)
    image[:, 10:30, 15:35] = -80
    label = np.zeros(image.shape, np.int32)
    label[3:8, 14:22, 18:26] = 2
    label[5, 15, 20] = 5
    image[label > 0] = 60
    return Volume(image, LPI), Volume(label, LPI)


@pytest.fixture
def files(tmp_path):
    def write(codes="LPI", **changes):
        image, label = volumes()
        for place, value in changes.items():
            image.array[int(place.removeprefix("z"))] = value
        paths = tmp_path / f"{codes}.nii.gz", tmp_path / f"{codes}_label.nii.gz"
        for path, volume in zip(paths, (image, label), strict=True):
            write_volume(path, orient(volume, codes))
        return paths

    return write


def texts_of(figure) -> str:
    axes_texts = [text for axes in figure.axes for text in axes.texts]
    legend = [text for legend in figure.legends for text in legend.get_texts()]
    return "\n".join(text.get_text() for text in (*figure.texts, *axes_texts, *legend))


def test_everything_is_said(files):
    scan = lone_scan(*files("RAS"), LABELS, None, None)
    texts = texts_of(contact_sheet(scan))
    for expected in (
        "RAS.nii.gz", "with labels", "4 x 3 x 2 mm", "12 x 40 x 50 voxels", "48 x 120 x 100 mm",
        "RAS, directions", "-1000 to 60", "20% of the scan, median -80", "2 of 3",
        "liver 7.66 ml", "cyst 0.024 ml", "spleen absent",
    ):  # fmt: skip
        assert expected in texts, expected
    for letter in "RLAPSI":
        assert letter in texts.split("\n")


def test_volumes_are_those_of_the_labels(files):
    scan = lone_scan(*files(), LABELS, None, None)
    voxel_ml = 4 * 3 * 2 / 1000
    expected = {"liver": 319 * voxel_ml, "cyst": voxel_ml, "spleen": 0.0}
    assert scan.volumes_ml == pytest.approx(expected)


@pytest.mark.parametrize("codes", ["RAS", "PIR", "LPI"])
def test_slices_go_through_the_organs_whatever_the_orientation(files, codes):
    scan = lone_scan(*files(codes), LABELS, None, None)
    assert scan.cut == [5, 15, 20], "where the cyst is"
    figure = contact_sheet(scan)
    assert [axes.images[0].get_array().max() for axes in figure.axes[:3]] == [60] * 3


def test_without_labels_the_middle_of_the_body_is_cut(files):
    scan = lone_scan(files()[0], None, None, None, None)
    assert np.abs(np.array(scan.cut) - [5.5, 19.5, 24.5]).max() <= 0.5
    texts = texts_of(contact_sheet(scan))
    assert "without labels" in texts
    assert "Organs" not in texts


def test_planes_show_the_body_at_one_scale(files):
    figure = contact_sheet(lone_scan(*files(), LABELS, None, None))
    figure.canvas.draw()
    scales = []
    for axes in figure.axes[:3]:
        box = axes.get_window_extent()
        scales += [box.width / axes.get_xlim()[1], box.height / axes.get_ylim()[0]]
    assert scales == pytest.approx([scales[0]] * 6, rel=1e-3)
    across_mm = figure.axes[0].get_xlim()[1]
    assert across_mm == pytest.approx(20 * 2 + 2 * 15, abs=4), "the body and 15 mm around it"


def test_labels_outside_the_body_stay_in_the_picture(files):
    image, label = files()
    array = np.zeros((12, 40, 50), np.int32)
    array[2:4, 35:38, 45:48] = 2
    write_volume(label, Volume(array, LPI))
    scan = lone_scan(image, label, LABELS, None, None)
    assert all(
        side.start <= place < side.stop for side, place in zip(scan.box, scan.cut, strict=True)
    )


def test_the_histogram_counts_every_voxel_once(files):
    figure = contact_sheet(lone_scan(*files(), LABELS, None, (-500.0, 500.0)))
    inside, outside = (step.get_data().values for step in figure.axes[3].patches[:2])
    assert inside.sum() == 12 * 20 * 20
    assert inside.sum() + outside.sum() == 12 * 40 * 50
    low, high = figure.axes[3].get_xlim()
    assert low < -500
    assert high > 500


def test_the_same_scan_gives_the_same_picture(files):
    first, second = (
        png_bytes(contact_sheet(lone_scan(*files(), LABELS, None, None))) for _ in "ab"
    )
    assert first == second


def test_what_looks_wrong_is_said_in_lines_that_fit(files):
    scan = lone_scan(*files(), LABELS, None, None)
    text = texts_of(contact_sheet(scan, ["the label map is empty", "no air here " * 9]))
    assert "! the label map is empty\n! no air here" in text
    assert max(map(len, text.split("! ")[2].split("\n"))) < 70


def test_mr_is_shown_between_its_percentiles(files):
    scan = lone_scan(files()[0], None, None, "MR", None)
    assert scan.unit == ""
    assert scan.window == pytest.approx((-1000, 60), abs=200)


def test_labels_of_unlabelled_cases_are_not_opened(files):
    image, label = files()
    label.write_bytes(b"no label")
    scan = scan_of_case(Case("a", image, label, "unlabelled"), LABELS, "CT")
    assert scan.classes is None


def test_images_that_are_not_finite_and_labels_of_another_grid_are_refused(files):
    image, label = files(z3=np.nan)
    with pytest.raises(InputError, match=r"2000 voxels \(.*%\) are NaN or infinite"):
        lone_scan(image, label, LABELS, "CT", None)
    image, label = files()
    write_volume(label, Volume(volumes()[1].array[1:], LPI))
    with pytest.raises(InputError, match=r"_label.nii.gz: has 11 x 40 x 50 voxels"):
        lone_scan(image, label, LABELS, "CT", None)
    moved = LPI + np.array([[0, 0, 0, 3], [0] * 4, [0] * 4, [0] * 4])
    write_volume(label, Volume(volumes()[1].array, moved))
    with pytest.raises(InputError, match=r"lies up to 3.0 mm away"):
        lone_scan(image, label, LABELS, "CT", None)


def test_without_names_the_integers_name_the_organs(files):
    scan = lone_scan(*files(), None, None, None)
    assert scan.labels.organs == ("label 2", "label 5")
