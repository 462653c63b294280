"""`dvcl show`: every kind of path, one case of several, and paths that are none of these."""

import json
import re
import sys

import numpy as np
import pytest

from dvcl import cli
from dvcl.commands.show import show
from dvcl.commands.show_subject import subject_of_dataset, subject_of_path
from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.datasets.phantom import make_phantom
from dvcl.studies.project import prepare
from dvcl.volume import Volume, read_volume, write_volume

SCENE = re.compile(r'class="scene" data-title="(.*?)"')
COARSE = ("preprocessing.spacing_mm=[12.0, 10.0, 10.0]",)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """scans/ of phantoms and work/, prepared from them."""
    folder = tmp_path_factory.mktemp("show")
    dataset = make_phantom(folder / "scans", 1, 2, 1, 1)
    prepare(folder / "work", dataset, "demo", changes=COARSE, workers=1)
    return folder


def test_a_study_shows_its_raw_scans(place, tmp_path):
    subject = subject_of_path(place / "work")
    assert [*subject.roles.values()] == [
        "labelled", "unlabelled", "unlabelled", "validation", "test",
    ]  # fmt: skip
    calls = []
    written = show(subject, tmp_path / "a.png", progress=lambda *call: calls.append(call))
    assert written == [tmp_path / "a.png"]
    assert calls[-1][:2] == (5, 5)
    assert subject.read("phantom_0001").unit == "HU"


def test_a_store_shows_prepared_cases_with_their_roles(place, tmp_path):
    store = next((place / "work" / "store").iterdir())
    subject = subject_of_path(store)
    assert subject.roles["phantom_0001"] == "labelled"
    scan = subject.read("phantom_0001")
    assert scan.image.spacing_mm == pytest.approx((12, 10, 10))
    assert scan.window == (0, 1)
    assert scan.volumes_ml["liver"] > 500
    assert subject.read("phantom_0002").classes is None
    alone = subject_of_path(store / "phantom_0001")
    assert alone.is_alone
    assert show(alone, tmp_path / "case.png") == [tmp_path / "case.png"]


def test_prepared_and_raw_pictures_show_the_same_organ_at_the_same_place(place):
    raw = subject_of_path(place / "work").read("phantom_0001")
    prepared = subject_of_path(next((place / "work" / "store").iterdir())).read("phantom_0001")
    centres = []
    for scan in (raw, prepared):
        index = scan.labels.organs.index("liver") + 1
        middle = np.argwhere(scan.classes == index).mean(axis=0)
        field = np.array(scan.image.shape) - 1
        centres.append((middle - field / 2) * scan.image.spacing_mm)
    assert centres[0] == pytest.approx(centres[1], abs=4)


def write_odd_scans(folder, write_image, write_label):
    """Nine usual pairs, and one each with odd voxels, size and organ, no organ, and shifted HU."""
    noise = np.random.default_rng(0).integers(-20, 20, (12, 16, 16))
    body = np.full((12, 16, 16), -1000, np.int16)
    body[:, 3:13, 3:13] = 40
    organ = np.zeros(body.shape, np.uint8)
    organ[4:8, 6:10, 6:10] = 1
    small, nothing = np.zeros_like(organ), np.zeros_like(organ)
    small[5, 6:8, 6:8] = 1
    usual = np.diag([2.0, 2.0, 3.0, 1.0])
    odd = {
        "spacing": (body, organ, np.diag([2.0, 2.0, 1.5, 1.0])),
        "size": (body[:6], organ[:6], usual),
        "volume": (body, small, usual),
        "empty": (body, nothing, usual),
        "shifted": (body + 1024, organ, usual),
    }
    for name, (image, label, affine) in {
        **{f"usual{n}": (body, organ, usual) for n in range(9)}, **odd,
    }.items():  # fmt: skip
        array = (image + noise[: len(image)]).astype(np.int16)
        write_image(folder / "images" / f"{name}.nii.gz", array, affine)
        write_label(folder / "labels" / f"{name}.nii.gz", label, affine)
    return [*odd]


def test_what_check_finds_is_marked(tmp_path, write_image, write_label, monkeypatch, run):
    odd = write_odd_scans(tmp_path / "scans", write_image, write_label)
    drawn = []
    monkeypatch.setattr(
        "dvcl.commands.show.montages", lambda tiles, *_: iter(drawn.extend(tiles) or [])
    )
    show(subject_of_path(tmp_path / "scans"), tmp_path / "a.png")
    marked = {tile.id: tile.problems for tile in drawn if tile.problems}
    _, out, _ = run("check", "--labelled", tmp_path / "scans", "--json")
    # No picture shows that two scans are one; made-up ones are all alike.
    found = [one for one in json.loads(out)["findings"] if not one["code"].startswith("same-")]
    assert {one["code"] for one in found if one["case"]} == {
        "odd-spacing", "odd-size", "odd-volume", "label-empty", "hu-offset",
    }  # fmt: skip
    assert marked == {
        name: tuple(one["text"].rstrip(".") for one in found if one["case"] == name)
        for name in sorted(odd)
    }


def test_a_contact_sheet_says_what_check_says_of_the_scan(
    tmp_path, write_image, write_label, monkeypatch
):
    write_odd_scans(tmp_path / "scans", write_image, write_label)
    said = []
    monkeypatch.setattr("dvcl.commands.show.save_png", lambda *_: None)
    monkeypatch.setattr(
        "dvcl.commands.show.contact_sheet", lambda scan, problems: said.extend(problems)
    )
    for subject, case in (
        (subject_of_path(tmp_path / "scans"), "empty"),
        (subject_of_path(tmp_path / "scans" / "images" / "shifted.nii.gz", modality="CT"), None),
        (subject_of_path(tmp_path / "scans"), "usual0"),
    ):
        show(subject, None, case=case)
    assert len(said) == 2
    assert said[0].startswith("holds nothing but background")
    assert said[1].startswith("the darkest voxels are near")


def test_folders_of_scans(place, tmp_path):
    scans = place / "scans"
    assert {*subject_of_path(scans / "labelled").roles.values()} == {"labelled"}
    images = subject_of_path(scans / "unlabelled")
    assert {*images.roles.values()} == {"unlabelled"}
    assert images.about.startswith("CT")
    assert show(images, tmp_path / "b.png") == [tmp_path / "b.png"]


def test_a_scan_with_its_label_from_the_command_line(place, tmp_path, capsys):
    scan = place / "scans" / "labelled" / "images" / "phantom_0001.nii.gz"
    label = place / "scans" / "labelled" / "labels" / "phantom_0001.nii.gz"
    words = [scan, "--label", label, "--window", "-1000", "400", "--out", tmp_path / "c.png"]
    sys.argv = ["dvcl", "show", *map(str, words)]
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert capsys.readouterr().out.strip() == str(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_has_the_picture_and_scans_to_scroll_through(place, tmp_path):
    subject = subject_of_path(place / "work")
    page = tmp_path / "one.html"
    assert show(subject, page, case="phantom_0001") == [page]
    assert SCENE.findall(page.read_text()) == ["phantom_0001"]
    assert "data:image/png" in page.read_text()
    page = tmp_path / "all.html"
    assert show(subject, page) == [page]
    text = page.read_text()
    labelled_first = ["phantom_0001", "phantom_0004", "phantom_0005", "phantom_0002"]
    assert SCENE.findall(text) == [*labelled_first, "phantom_0003"]
    assert '<th scope="row">phantom_0002</th><td class="name">unlabelled</td>' in text


def test_a_page_holds_some_scans_of_many(place, tmp_path, monkeypatch):
    monkeypatch.setattr("dvcl.commands.show_page.MOST_SCENES", 2)
    show(subject_of_path(place / "work"), tmp_path / "all.html")
    text = (tmp_path / "all.html").read_text()
    assert "2 of 5 scans are in this page: those marked first, then labelled ones." in text
    assert len(SCENE.findall(text)) == 2


def test_a_data_set_from_the_command_line(place, tmp_path, capsys):
    scans = place / "scans"
    words = ["--labelled", scans / "labelled", "--unlabelled", scans / "unlabelled", "--labels",
             scans / "labels.json", "--out", tmp_path / "d.png"]  # fmt: skip
    sys.argv = ["dvcl", "show", *map(str, words)]
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert str(tmp_path / "d.png") in capsys.readouterr().out


def test_one_case_of_several_gets_a_name_of_its_own(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (written,) = show(subject_of_path(place / "work"), None, case="phantom_0003")
    assert written.name == "phantom_0003.png"
    assert written.exists()


def test_unusable_files_stay_in_the_montage(place, tmp_path):
    source = place / "scans" / "unlabelled" / "phantom_0002.nii.gz"
    if not source.exists():
        source = next((place / "scans" / "unlabelled").rglob("*.nii.gz"))
    image = read_volume(source)
    write_volume(tmp_path / "good.nii.gz", image)
    (tmp_path / "bad.nii.gz").write_bytes(b"<html>")
    nan = image.array.copy()
    nan[0] = np.nan
    write_volume(tmp_path / "nan.nii.gz", Volume(nan, image.affine))
    names = ("bad", "good", "nan")
    cases = tuple(Case(n, tmp_path / f"{n}.nii.gz", None, "unlabelled") for n in names)
    subject = subject_of_dataset(
        Dataset("mixed", "CT", cases, LabelTable.from_mapping({1: "organ"}))
    )
    assert show(subject, tmp_path / "mixed.png") == [tmp_path / "mixed.png"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), "nowhere: no such file or folder"),
        (("{scans}/labelled", "--label", "x.nii.gz"), "goes with a single scan"),
        (("{scans}/labelled", "--labelled", "{scans}/labelled"), "either a path"),
        (("{work}", "--case", "nobody"), "--case 'nobody': not among the 5 cases"),
        (("{work}", "--out", "x.jpg"), "--out x.jpg: the name of a .png or .html file"),
        (("{work}", "--window", "4", "3"), "--window 4 3: the lower one goes first"),
        ((), "which scans?"),
        (("{scans}/labels.json",), "labels.json"),
    ],
)
def test_wrong_input_is_explained(place, capsys, words, expected):
    places = {"scans": place / "scans", "work": place / "work"}
    sys.argv = ["dvcl", "show", *(word.format(**places) for word in words)]
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert expected in capsys.readouterr().err


def test_real_scans(real_data, tmp_path):
    image = real_data / "abdomen" / "ct.nii.gz"
    label = real_data / "abdomen" / "labels_by_a_model.nii.gz"
    subject = subject_of_path(image, label=label)
    (scan,) = (subject.read(case_id) for case_id in subject.roles)
    assert 1000 < scan.volumes_ml["liver"] < 2000, "the liver, in ml"
    assert show(subject, tmp_path / "real.png")[0].stat().st_size > 100_000
