"""A montage has every case once, at one scale, and points at what does not belong."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dvcl.datasets.organs import organ_colour
from dvcl.report.figures import png_bytes
from dvcl.report.montage import ROLE_COLOURS, montages
from dvcl.report.tiles import Pane, Tile, blend, failed_tile


def tile(id: str, role="labelled", width_mm: float = 100.0, **changes) -> Tile:
    pane = Pane(np.full((6, 8, 3), 0.5, np.float32), width_mm, 60.0, "S")
    made = Tile(id, role, (pane, replace(pane, top="A")), "1 x 1 x 1 mm")
    return replace(made, **changes)


def texts_of(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_tiles_are_sorted_by_role_and_id_and_coloured():
    tiles = [tile("b", "test"), tile("z"), tile("a", None), tile("c", "unlabelled"), tile("d")]
    (figure,) = montages(tiles, ["liver"], "Scans")
    ids = [text for text in texts_of(figure) if len(text) == 1 and text.islower()]
    assert ids == ["d", "z", "c", "b", "a"]
    strips = [patch.get_facecolor()[:3] for patch in figure.axes[0].patches]
    roles = ["labelled", "labelled", "unlabelled", "test", None]
    assert strips == [to_rgb(ROLE_COLOURS[role]) for role in roles]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["2 labelled", "1 unlabelled", "1 test", "1 no role yet"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["liver"]


def test_many_cases_take_several_pages_and_say_so():
    tiles = [tile(f"case_{n:03}") for n in range(130)]
    figures = list(montages(tiles, [], "Scans"))
    assert len(figures) > 1
    assert f"Scans, page 2 of {len(figures)}" in texts_of(figures[1])
    shown = [text for figure in figures for text in texts_of(figure) if text.startswith("case_")]
    assert shown == [t.id for t in tiles]
    assert max(figure.get_figheight() for figure in figures) < 20


def extents_of(figure) -> np.ndarray:
    return np.array([image.get_extent() for image in figure.axes[0].images])


def test_all_tiles_have_one_scale_and_true_proportions():
    (figure,) = montages([tile("a"), tile("b", width_mm=130.0)], [], "Scans")
    left, right, bottom, top = extents_of(figure).T
    across_mm = np.array([100, 100, 130, 130])
    assert (right - left) / across_mm == pytest.approx([(right - left)[0] / 100] * 4)
    assert (bottom - top) / 60 == pytest.approx((right - left) / across_mm)


def test_one_far_larger_scan_is_shrunk_and_says_so():
    tiles = [tile(f"{n}") for n in range(20)] + [tile("huge", width_mm=1000.0)]
    (figure,) = montages(tiles, [], "Scans")
    assert any("shown at 15% of the scale" in text for text in texts_of(figure))
    left, right, *_ = extents_of(figure).T
    assert (right - left)[0] > 0.5


def test_a_case_that_cannot_be_read_keeps_its_place():
    tiles = [tile("a"), failed_tile("b", "test", "b.nii.gz: the file is empty (0 bytes).")]
    (figure,) = montages(tiles, [], "Scans")
    assert any("the file is empty" in text for text in texts_of(figure))
    assert len(figure.axes[0].images) == 2
    (alone,) = montages(tiles[1:], [], "Scans")
    assert len(png_bytes(alone)) > 1000


def test_what_stands_out_is_marked():
    tiles = [tile("a"), tile("b", problems=("voxels of 3 x 1 x 1 mm", "no air"))]
    (figure,) = montages(tiles, [], "Scans")
    assert "! voxels of 3 x 1 x 1 mm; no air" in texts_of(figure)
    assert sum(not patch.get_fill() for patch in figure.axes[0].patches) == 1


def test_organs_tint_the_grey_pixels():
    grey = np.array([[0.0, 1.0], [0.5, 0.5]])
    pixels = blend(grey, np.array([[0, 0], [3, 0]]))
    assert pixels[0, 1] == pytest.approx([1, 1, 1])
    assert pixels[1, 0] == pytest.approx(0.25 + 0.5 * np.array(to_rgb(organ_colour(3))), abs=1e-6)
    assert blend(grey, None)[1, 1] == pytest.approx([0.5] * 3)


def test_long_ids_end_in_an_ellipsis():
    tiles = [tile(f"{n}_a_very_long_name_of_a_scan_from_some_archive_with_a_date") for n in "abcde"]
    (figure,) = montages(tiles, [], "Scans")
    assert sum(text.endswith("…") for text in texts_of(figure)) == 5
