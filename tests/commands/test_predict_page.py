"""The page beside predicted label maps."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from dvcl.commands.predict_page import PredictionPage
from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.files import write_json
from dvcl.inference.seen import Seen, SeenOrgan
from dvcl.volume import Volume

LABELS = LabelTable.from_mapping({2: "liver", 5: "spleen", 9: "aorta"})
SEEN = Seen(
    "CT", 2, (), {}, tuple({"liver": SeenOrgan(ml, (0, 0, 0), 0, False)} for ml in (1.0, 2.0))
)
SCENE = re.compile(r'class="scene" data-title="(.*?)"')
AFFINE = np.diag([2.0, 2, 5, 1])


@pytest.fixture
def page():
    recipe = SimpleNamespace(name="small-ct")
    return PredictionPage(
        SimpleNamespace(labels=LABELS, method="dvcl", modality="CT", recipe=recipe, seed=3), SEEN
    )


def add(page, name, values, doubts=(), known=None):
    """A scan in which each of these label integers has ten voxels."""
    result = np.zeros((6, 6, 6), np.uint8)
    result.ravel()[: 10 * len(values)] = np.repeat(values, 10)
    image = Volume(np.zeros((6, 6, 6), np.int16), AFFINE)
    page.add(name, image, Volume(result, AFFINE), doubts, None, known)


def test_doubtful_scans_and_missing_organs_come_first_and_the_page_is_bounded(page, tmp_path):
    for number in range(6):
        add(page, f"whole{number}", [2, 5, 9])
    add(page, "one missing", [2, 9])
    add(page, "all missing", [])
    add(page, "another one missing", [5, 9])
    add(page, "doubtful", [2, 5, 9], doubts=["is odd.", "is very odd."])
    page.write(tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert SCENE.findall(text) == [
        "doubtful", "all missing", "one missing", "another one missing", "whole0", "whole1",
    ]  # fmt: skip
    assert "6 of 10 scans are here to scroll through" in text
    row = "<td>0</td><td>2 of 3</td><td>0.2</td><td>–</td><td>0.2</td>"
    assert f'<th scope="row">one missing</th>{row}' in text
    assert text.count('<th scope="row">') == 10 + 2 + 2
    for doubt in ("is odd.", "is very odd."):
        assert f'<th scope="row">doubtful</th><td class="name">{doubt}</td>' in text
    assert '<th scope="row">least</th><td>1.0</td><td>–</td><td>–</td>' in text
    assert '<th scope="row">largest</th><td>2.0</td><td>–</td><td>–</td>' in text


def test_scans_of_earlier_calls_are_in_the_tables(page, tmp_path):
    organ = {"volume_ml": 7.5, "centre_mm": [0, 0, 0], "scattered": 0.0, "at_border": False}
    doubt = {"code": "x", "where": "", "text": "was odd.", "remedy": "", "case": None}
    record = {
        "doubts": [{**doubt, "numbers": {}}], "made_of": "a",
        "organs": {"spleen": {**organ, "volume_low_ml": 7.0, "volume_high_ml": 8.0}},
    }  # fmt: skip
    write_json(tmp_path / "b.doubts.json", record)
    (tmp_path / "b.nii.gz").touch()
    add(page, "a", [2])
    page.write(tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "1 of 2 scans are here to scroll through" in text
    assert "Those of earlier calls, 1, stand in the tables alone." in text
    row = "<td>1</td><td>1 of 3</td><td>–</td><td>7.5 (7.0–8.0)</td><td>–</td>"
    assert f'<th scope="row">b</th>{row}' in text
    assert '<th scope="row">b</th><td class="name">was odd.</td>' in text


def test_a_damaged_record_of_an_earlier_call_is_named(page, tmp_path):
    (tmp_path / "b.doubts.json").write_text("{", encoding="utf-8")
    (tmp_path / "b.nii.gz").touch()
    add(page, "a", [2])
    with pytest.raises(InputError, match=r"b\.doubts\.json"):
        page.write(tmp_path / "index.html")


def test_no_scan_no_page(page, tmp_path):
    page.write(tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()


def test_volumes_have_their_limits_where_they_are_known(page, tmp_path):
    known = {"liver": {"volume_low_ml": 0.1, "volume_high_ml": 0.34, "limits_hold": 0.9}}
    add(page, "a", [2, 5], known=known)
    page.write(tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<td>0.2 (0.1–0.3)</td><td>0.2</td><td>–</td>" in text
    assert "In brackets: where the true volume lies with 90%." in text
