"""Pages in a browser: opened from files, without a network, and used as a reader would."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dvcl.datasets.dataset import LabelTable
from dvcl.report import html
from dvcl.report.figures import png_bytes
from dvcl.report.tables import TextTable
from dvcl.viewer import scene as scenes
from dvcl.viewer.scene import case_scene
from dvcl.viewer.section import viewer
from dvcl.volume import Volume

LABELS = LabelTable.from_mapping({1: "liver", 2: "spleen"})
SHAPE = (40, 44, 48)
AFFINES = {
    "RAS": np.array([[2.0, 0, 0, -48], [0, 2, 0, -44], [0, 0, 3, -60], [0, 0, 0, 1]]),
    "LPI": np.array([[-2.0, 0, 0, 46], [0, -2, 0, 42], [0, 0, -3, 57], [0, 0, 0, 1]]),
    "PIR": np.array([[0, 0, 2.0, -40], [-2, 0, 0, 48], [0, -3, 0, 66], [0, 0, 0, 1]]),
    "oblique": np.array([[1.9, 0.5, 0, -55], [-0.5, 1.9, 0, -30.3], [0, 0, 3, -60], [0, 0, 0, 1]]),
}

# World coordinates of the brightest voxel, as NiiVue has them.
BRIGHTEST = """() => {
  const image = document.querySelector(".viewer").viewer.image;
  let best = [-Infinity];
  const [, width, height, depth] = image.dimsRAS;
  for (let z = 0; z < depth; z++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const value = image.getValue(x, y, z);
        if (value > best[0]) best = [value, x, y, z];
      }
  return [...image.vox2mm(best.slice(1), image.matRAS)];
}"""
GO_TO = """(mm) => {
  const { niivue } = document.querySelector(".viewer").viewer;
  niivue.scene.crosshairPos = niivue.mm2frac(mm);
  niivue.createOnLocationChange();
}"""


def world(affine, voxel_zyx):
    return (affine @ [*voxel_zyx[::-1], 1])[:3]


def write(path, *cases):
    html.write_page(path, "Cases", [viewer(cases)])
    return path


def start(page):
    page.get_by_role("button", name="Scroll through the scans").click()
    page.wait_for_function("document.querySelector('.viewer').viewer?.name")
    return page


def choose(page, name):
    page.get_by_label("Case", exact=True).select_option(name)
    page.wait_for_function(
        "(name) => document.querySelector('.viewer').viewer.name === name", arg=name
    )


def pixels(page, selector=".viewer canvas"):
    return np.array(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB"))


def halves(affine):
    """A body whose right half is bright, with a liver there and a spleen to the left."""
    index = np.indices(SHAPE)[::-1].reshape(3, -1)
    x_mm, y_mm, z_mm = (affine[:3, :3] @ index + affine[:3, 3:]).reshape(3, *SHAPE)
    image = np.where(x_mm > 0, 200, -100).astype(np.int16)
    classes = np.zeros(SHAPE, np.uint8)
    for value, side in ((1, 20), (2, -20)):
        classes[np.hypot(np.hypot(x_mm - side, y_mm), z_mm) < 14] = value
    return Volume(image, affine), Volume(classes, affine)


@pytest.mark.parametrize("most", [1_500_000, 12_000])
def test_world_coordinates_are_those_of_nibabel(open_page, tmp_path, monkeypatch, most):
    monkeypatch.setattr(scenes, "MOST_VOXELS", most)
    voxel = (11, 30, 17)
    cases = []
    for name, affine in AFFINES.items():
        array = np.zeros(SHAPE, np.int16)
        array[voxel] = 3000
        mask = np.zeros(SHAPE, np.uint8)
        mask[tuple(slice(at - 2, at + 3) for at in voxel)] = 2
        cases.append(case_scene(name, Volume(array, affine), Volume(mask, affine), {}, LABELS))
    page = start(open_page(write(tmp_path / "page.html", *cases)))
    for name, affine in AFFINES.items():
        choose(page, name)
        expected = world(affine, voxel)
        # A voxel of the page is up to two of the file wide.
        distance = np.abs(np.array(page.evaluate(BRIGHTEST)) - expected).max()
        assert distance < (0.01 if most > 12_000 else 3.1), name
        page.evaluate(GO_TO, expected.tolist())
        where = page.locator(".viewer .place").inner_text()
        letters = zip(("LR", "PA", "IS"), expected, strict=True)
        said = ", ".join(f"{pair[int(mm >= 0)]} {abs(mm):.0f}" for pair, mm in letters)
        assert where.startswith(f"{said} mm"), name
        assert "Reference: spleen" in where


def test_the_patients_right_is_on_the_left(open_page, tmp_path):
    cases = [
        case_scene(name, image, None, {"a": classes}, LABELS)
        for name, affine in AFFINES.items()
        for image, classes in [halves(affine)]
    ]
    page = start(open_page(write(tmp_path / "page.html", *cases)))
    page.get_by_label("View", exact=True).select_option("transverse")
    for name in AFFINES:
        choose(page, name)
        page.get_by_role("button", name="none").click()
        page.evaluate(GO_TO, [0, 0, 0])
        page.wait_for_timeout(500)
        grey = pixels(page).mean(axis=-1)
        middle = grey[grey.shape[0] // 2 - 20 : grey.shape[0] // 2 + 20]
        width = middle.shape[1]
        assert middle[:, int(0.4 * width)].mean() > 150, name
        assert middle[:, int(0.6 * width)].mean() < 80, name


def test_a_reader_scrolls_switches_organs_and_compares(open_page, tmp_path):
    image, reference = halves(AFFINES["LPI"])
    found = Volume(np.where(reference.array == 2, 0, reference.array), reference.affine)
    doubt = {"uncertainty": Volume(np.where(reference.array, 0.9, 0.0), reference.affine)}
    path = write(
        tmp_path / "page.html",
        case_scene("Worst: a", image, reference, {"dvcl: 50.0 %": found}, LABELS, maps=doubt),
        case_scene("Best: b", image, None, {"dvcl": found}, LABELS, "MR"),
    )
    page = start(open_page(path))
    canvas, place = page.locator(".viewer canvas"), page.locator(".viewer .place")
    page.get_by_label("View", exact=True).select_option("transverse")
    canvas.click(position={"x": 400, "y": 200})
    before = place.inner_text()
    page.mouse.wheel(0, 300)
    page.wait_for_function(
        "(old) => document.querySelector('.place').innerText !== old", arg=before
    )
    page.evaluate(GO_TO, [0, 0, 0])

    def changed_by(action):
        old = pixels(page).astype(int)
        action()
        page.wait_for_timeout(400)
        return np.abs(pixels(page).astype(int) - old).max(axis=-1) > 25

    def side(mask):
        return "left" if mask[:, : mask.shape[1] // 2].sum() > mask.sum() / 2 else "right"

    hidden = changed_by(page.get_by_label("spleen").uncheck)
    assert hidden.sum() > 500
    assert side(hidden) == "right", "the spleen is on the patient's left"
    page.get_by_label("spleen").check()
    missing = changed_by(lambda: page.get_by_label("Organs of").select_option("dvcl: 50.0 %"))
    assert side(missing) == "right"
    assert "absent" in page.locator(".viewer .organs").inner_text()
    compared = changed_by(page.get_by_label("differences from the reference").check)
    assert compared.sum() > 500
    assert "missed" in page.locator(".viewer .organs").inner_text()
    assert (
        changed_by(lambda: page.get_by_label("Window", exact=True).select_option("lung")).sum()
        > 5000
    )
    assert changed_by(lambda: page.get_by_label("uncertainty").fill("1")).sum() > 500

    choose(page, "Best: b")
    assert page.get_by_label("differences from the reference").is_hidden()
    assert page.get_by_label("Window", exact=True).is_hidden(), "MR has one"


def test_nothing_starts_before_a_reader_asks(open_page, tmp_path):
    image, classes = halves(AFFINES["RAS"])
    path = write(tmp_path / "page.html", case_scene("a", image, classes, {}, LABELS))
    page = open_page(path)
    assert page.evaluate("typeof niivue") == "undefined"
    assert page.locator(".viewer canvas").count() == 0


ROWS = (
    ("organ 10", "81.30 ± 1.2", "x"), ("organ 2", "–", "y"), ("organ 1", "-3.5", "z"),
    ("organ 3", "9.1 (0.4 ml)", "x"), ("organ 4", "< 0.001", "y"), ("organ 5", "100", "z"),
    ("organ 6", "7", "x"), ("organ 7", "8", "y"), ("Mean", "1", ""),
)  # fmt: skip


def names(page, shown_only=False):
    rows = page.locator("tbody tr:visible" if shown_only else "tbody tr")
    return [text.split("\t")[0].strip() for text in rows.all_inner_texts()]


def test_tables_sort_and_filter(open_page, tmp_path):
    table = TextTable(("Organ", "Dice", "Group"), ROWS, means=1)
    html.write_page(tmp_path / "page.html", "Table", [html.table(table)])
    page = open_page(tmp_path / "page.html")
    own = [row[0] for row in ROWS]
    dice = page.get_by_role("button", name="Dice")
    dice.click()
    down = ["organ 5", "organ 10", "organ 3", "organ 7", "organ 6", "organ 4", "organ 1"]
    assert names(page) == [*down, "organ 2", "Mean"], "undefined last, means at the end"
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Dice")
    dice.click()
    assert names(page) == [*down[::-1], "organ 2", "Mean"]
    dice.click()
    assert names(page) == own
    page.get_by_role("button", name="Organ").click()
    assert names(page) == [*(f"organ {n}" for n in (1, 2, 3, 4, 5, 6, 7, 10)), "Mean"]
    page.get_by_role("searchbox").fill("ORGAN 1")
    assert names(page, shown_only=True) == ["organ 1", "organ 10", "Mean"]


def test_dark_pages_have_dark_charts_with_the_same_hues(open_page, tmp_path):
    figure = Figure((3, 2), facecolor="white")
    figure.text(0.5, 0.5, "M", size=60, color="#d55e00")
    html.write_page(tmp_path / "page.html", "Chart", [html.chart(png_bytes(figure), "A chart")])
    page = open_page(tmp_path / "page.html", dark=True)
    shown = pixels(page, "figure.chart img").astype(int)
    assert shown[5, 5].max() < 50
    ink = shown[np.ptp(shown, axis=-1) > 80]
    assert len(ink) > 100
    assert (ink[:, 0] > ink[:, 2]).all(), "orange stays orange"


@pytest.mark.parametrize("width", [390, 1000])
def test_no_page_is_wider_than_its_window(open_page, tmp_path, width):
    image, classes = halves(AFFINES["RAS"])
    wide = TextTable(("Organ", *(f"a long heading {n}" for n in range(12))), (("liver",) * 13,) * 9)
    figure = png_bytes(Figure((9, 3), facecolor="white"))
    html.write_page(
        tmp_path / "page.html",
        "All",
        [
            html.table(wide),
            html.chart(figure, "A chart"),
            html.picture(figure, "A picture"),
            viewer([case_scene("a" * 60, image, classes, {"b" * 60: classes}, LABELS)]),
        ],
    )
    page = start(open_page(tmp_path / "page.html", width=width))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".viewer canvas").bounding_box()
    assert box["width"] >= 0.9 * min(width, 900)
    assert box["height"] >= 300
