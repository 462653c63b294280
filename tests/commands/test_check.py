"""`dvcl check`, `--fix` and the leak guard of `dvcl train`, as a person types them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.check import check_scans
from dvcl.commands.check_tables import check_tables
from dvcl.commands.console import console
from dvcl.commands.estimate import estimate_preparation
from dvcl.datasets import load_folders, load_nnunet
from dvcl.datasets.checks import CODES, Finding, alike_as_one
from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.dataset import Case
from dvcl.errors import InputError
from dvcl.recipe import load_recipe
from dvcl.splits import Division, make_split
from dvcl.studies.leak_guard import guard_split, stored_twins
from dvcl.studies.project import prepare
from dvcl.volume import Geometry, Volume, read_volume, write_volume

Run = Callable[..., tuple[int, str, str]]

DOCS = Path(__file__).parents[2] / "docs"


def body(seed: int) -> np.ndarray:
    """A made-up CT of 24 x 28 x 32 voxels: air around tissue with structure."""
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in (24, 28, 32)), indexing="ij")
    tissue = random.normal(40, 60, (6, 7, 8)).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    return np.where(sum(axis**2 for axis in axes) < 1, tissue, -1000).astype(np.int16)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide enough for paths in one line."""
    monkeypatch.setattr(console, "width", 400)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """train/ and test/ with labels, clinic/ without, all sound."""
    names = {"train/images": "ab", "test/images": "c", "clinic": "de"}
    for number, (folder, ids) in enumerate(names.items()):
        for place, id in enumerate(ids):
            array = body(10 * number + place)
            write_volume(tmp_path / folder / f"{id}.nii.gz", Volume(array, np.diag([2.0, 2, 3, 1])))
            if folder != "clinic":
                label = tmp_path / folder.split("/")[0] / "labels" / f"{id}.nii.gz"
                classes = np.zeros(array.shape, np.uint8)
                classes[8:12, 8:12, 8:12], classes[8:12, 8:12, 20:24] = 1, 2
                write_volume(label, Volume(classes, np.diag([2.0, 2, 3, 1])))
    names = '{"1": "left kidney", "2": "right kidney"}'
    (tmp_path / "labels.json").write_text(names, encoding="utf-8")
    return tmp_path


def options(scans: Path) -> list[str]:
    return [
        f"--labelled={scans / 'train'}", f"--unlabelled={scans / 'clinic'}",
        f"--test={scans / 'test'}", f"--labels={scans / 'labels.json'}",
    ]  # fmt: skip


def spoil(scans: Path) -> None:
    """One error that --fix can mend, and a label map that it cannot."""
    path = scans / "train/images/a.nii.gz"
    volume = read_volume(path)
    volume.array[3, 3, 3] = np.nan
    write_volume(path, volume)
    label = read_volume(scans / "train/labels/b.nii.gz", np.uint8)
    label.array[0, 0, 0] = 9
    write_volume(scans / "train/labels/b.nii.gz", label)


def test_sound_scans(scans: Path, run: Run) -> None:
    code, out, err = run("check", *options(scans))
    assert code == 0, err
    assert "0 errors, 0 warnings" in out
    assert "5 CT scans: 2 labelled, 2 unlabelled, 1 test" in out
    assert "left kidney" in out
    assert "3 of 3" in out
    assert "prepared with small-ct" in out


def test_errors_end_with_1_and_are_all_listed(scans: Path, run: Run) -> None:
    spoil(scans)
    code, out, _ = run("check", *options(scans))
    assert code == 1
    assert "2 errors" in out
    assert "cannot be used as it is" in out
    assert "train/images/a.nii.gz" in out
    assert "train/labels/b.nii.gz" in out
    assert f"paths below {scans}" in out


def test_json_on_standard_output_is_nothing_but_json(scans: Path, run: Run) -> None:
    spoil(scans)
    code, out, _ = run("check", *options(scans), "--json")
    assert code == 1
    told = json.loads(out)
    assert told["counts"]["error"] == 2
    assert {finding["code"] for finding in told["findings"]} >= {"not-finite", "label-values"}
    assert [case["id"] for case in told["cases"]] == list("abdec")
    assert told["cases"][0]["organs"]["left kidney"]["voxels"] == 64
    assert told["preparation"]["cases"] == 5


def test_the_table_stands_beside_the_json(scans: Path, run: Run) -> None:
    code, out, err = run("check", *options(scans), "--json")
    assert code == 0
    assert "can be prepared" in err
    assert json.loads(out)["counts"]["error"] == 0


def test_what_is_found_of_many_scans_is_told_once(scans: Path, run: Run) -> None:
    """MR given as CT: each scan has other numbers. Another finding of one of them stands apart."""
    for number in range(14):
        array = (body(100 + number) + 1000 + 10 * number).astype(np.int16)
        write_volume(
            scans / f"clinic/mr_{number:02}.nii.gz", Volume(array, np.diag([2.0, 2, 3, 1]))
        )
    spoil(scans)
    code, out, _ = run("check", *options(scans))
    assert code == 1
    (told,) = (line for line in out.splitlines() if "the darkest voxels are" in line)
    assert "clinic/mr_00.nii.gz and 13 more (mr_01.nii.gz, mr_02.nii.gz, mr_03.nii.gz, …)" in told
    assert "every file by its name: --json has all." in out
    assert "14 warnings" in out
    assert "train/images/a.nii.gz" in out


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        (["has 3 parts (of 2.5 ml).", "has 4 parts (of -10 ml)."], 1),
        (["looks like hn_002.nii.gz.", "looks like hn_003.nii.gz."], 2),
        (["looks like 002.nii.gz.", "looks like 003.nii.gz."], 2),
        (["lacks the liver.", "lacks the spleen."], 2),
    ],
)
def test_findings_are_alike_but_for_numbers(texts: list[str], count: int) -> None:
    found = [Finding("alike", f"{number}.nii.gz", text) for number, text in enumerate(texts)]
    assert len(alike_as_one(found)) == count
    errors = [Finding("unreadable", f"{number}.nii.gz", text) for number, text in enumerate(texts)]
    assert alike_as_one(errors) == errors


def test_findings_that_name_others_stay_apart() -> None:
    """Names may be numbers: of organs and of cases. And no finding hides another of its file."""
    volumes = [
        Finding("odd-volume", "a.nii", f"rib {n} has {n} ml.", numbers={"organ": f"rib {n}"})
        for n in (1, 2)
    ]
    borders = [
        Finding("organ-at-border", organ, f"in 1 of 2 label maps: {n}.", numbers={"cases": [n]})
        for organ, n in (("liver", "7"), ("spleen", "8"))
    ]
    strays = [
        Finding("label-alias", file, f"3 voxels have the stray value {n}.", numbers={"value": n})
        for file in ("a.nii", "b.nii")
        for n in (14, 255)
    ]
    assert alike_as_one(volumes) == volumes
    assert alike_as_one(borders) == borders
    assert [finding.text[-4:] for finding in alike_as_one(strays)] == [" 14.", "255."]


def test_warnings_count_with_strict(scans: Path, run: Run) -> None:
    path = scans / "clinic/d.nii.gz"
    volume = read_volume(path, np.int16)
    write_volume(path, Volume((volume.array + 1024).astype(np.int16), volume.affine))
    code, out, _ = run("check", *options(scans))
    assert code == 0
    assert "1 warning" in out
    assert run("check", *options(scans), "--strict")[0] == 1


def test_what_loaders_refuse_is_in_the_same_table(scans: Path, run: Run) -> None:
    (scans / "train/labels/a.nii.gz").unlink()
    code, out, _ = run("check", *options(scans), "--json")
    assert code == 1
    (finding,) = json.loads(out)["findings"]
    assert finding["code"] == "layout"
    assert finding["where"].endswith("train/images/a.nii.gz")
    assert finding["text"].startswith("has no label; expected")
    assert finding["remedy"].startswith("Add the label")
    code, out, _ = run("check", *options(scans))
    assert code == 1
    assert "has no label" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "which scans? none found; labelled ones were expected."),
        (("--unlabelled", "TRAIN"), "which scans? --unlabelled alone found; labelled ones were"),
        (("--labelled", "TRAIN", "--data", "TRAIN"), "TRAIN found; one of both was expected"),
        (
            ("--data", "nowhere"),
            "nowhere/dataset.json: no such file; a JSON file was expected there"
            ". Copy it from where the scans are from, name another --layout",
        ),
        (("--labelled", "TRAIN", "--recipe", "none"), "no such recipe"),
        (("--labelled", "TRAIN", "--fix", "TRAIN"), "is not empty; nothing is replaced"),
        (("--labelled", "TRAIN/images", "--fix", "new"), "not in order"),
    ],
)
def test_wrong_commands_end_with_2(
    scans: Path, run: Run, words: tuple[str, ...], expected: str
) -> None:
    words = tuple(word.replace("TRAIN", str(scans / "train")) for word in words)
    code, _, err = run("check", *words)
    assert code == 2
    assert expected.replace("TRAIN", str(scans / "train")) in err


def test_fix_writes_a_copy_that_passes(scans: Path, run: Run) -> None:
    spoil(scans)
    before = {path: path.read_bytes() for path in scans.rglob("*") if path.is_file()}
    out = scans / "mended"
    code, told, _ = run("check", *options(scans), "--fix", out, "--fill-nan")
    assert code == 1, "the scans themselves are as they were"
    assert "left out b: label-values" in told
    assert "4 of 5 cases written" in told
    assert {path: path.read_bytes() for path in before} == before
    changes = json.loads((out / "changes.json").read_text())
    assert len(changes["changes"]) == 1
    assert list(changes["left_out"]) == ["b"]
    next_command = told[told.index("dvcl check --labelled") :].replace("\n", " ").split()
    assert run(*next_command[1:])[0] == 0


def copy_of_a(scans: Path, turned: bool) -> None:
    """The scan a among the test cases: the same voxels, or shorter and on another scale."""
    image = read_volume(scans / "train/images/a.nii.gz", np.int16)
    if turned:
        image = Volume(np.ascontiguousarray(image.array[1:] * 2 + 3), image.affine)
    for kind, array in (("images", image.array), ("labels", np.ones(image.shape, np.uint8))):
        write_volume(scans / f"test/{kind}/z.nii.gz", Volume(array, image.affine))


@pytest.mark.parametrize(("turned", "code"), [(False, "same-voxels"), (True, "same-scan")])
def test_one_scan_in_two_parts_is_refused_unless_allowed(
    scans: Path, run: Run, turned: bool, code: str
) -> None:
    copy_of_a(scans, turned)
    status, out, _ = run("check", *options(scans), "--json")
    assert status == 1
    errors = [f for f in json.loads(out)["findings"] if f["severity"] == "error"]
    assert [(f["code"], f["case"], f["numbers"]["other"]) for f in errors] == [(code, "z", "a")]
    status, out, _ = run("check", *options(scans), "--json", "--allow-overlap")
    assert status == 0
    assert "allowed-overlap" in out


def test_training_refuses_a_leak_before_anything_else(scans: Path, run: Run) -> None:
    copy_of_a(scans, turned=True)
    tiny = ["--workers=1", "--set=preprocessing.spacing_mm=[6.0, 4.0, 4.0]"]
    code, _, err = run("prepare", scans / "work", *options(scans), *tiny)
    assert code == 0, err
    code, _, err = run("train", scans / "work", "--device=cpu")
    assert code == 2
    assert "a (labelled) and z (test): likeness" in err
    assert "--allow-overlap" in err
    assert not (scans / "work" / "runs").exists()


def test_an_allowed_overlap_is_told_and_kept_in_the_note(scans: Path) -> None:
    copy_of_a(scans, turned=False)
    for old, new in (("b", "patient1_a"), ("c", "patient1_b")):
        folder = scans / ("train" if old == "b" else "test")
        for kind in ("images", "labels"):
            (folder / kind / f"{old}.nii.gz").rename(folder / kind / f"{new}.nii.gz")
    dataset = load_folders(
        scans / "train", [scans / "clinic"], None, scans / "test", scans / "labels.json"
    )
    store = prepare(scans / "work", dataset, "small-ct", workers=1)
    split = make_split(dataset, Division(validation_share=0))
    with pytest.raises(InputError, match="same voxels"):
        guard_split(split, store)
    guarded, told = guard_split(split, store, allow_overlap=True)
    assert "Allowed overlap: a (labelled) and z (test): the same voxels." in guarded.note
    assert any("Perhaps one patient in two parts, by the ids (patient1)" in line for line in told)
    record = store.folder / "twins.json"
    assert json.loads(record.read_text())["twins"][0]["same_voxels"]
    record.write_text("{")
    assert len(stored_twins(store)) == 1, "a damaged record is made anew"


def test_preparation_tells_warnings(scans: Path, run: Run) -> None:
    for path in (scans / "clinic").iterdir():
        volume = read_volume(path, np.int16)
        write_volume(path, Volume((volume.array + 1024).astype(np.int16), volume.affine))
    code, out, err = run(
        "prepare", scans / "work", *options(scans), "--workers=1",
        "--set=preprocessing.window=none",
    )  # fmt: skip
    assert code == 0, err
    assert out.count("Warning: ") == 1
    assert "d.nii.gz and 1 more (e.nii.gz): the darkest" in out
    assert "2 to look at; `dvcl check`" in out


def case_report(id: str, shape: tuple[int, int, int], spacing: float) -> CaseReport:
    geometry = Geometry(shape, np.diag([spacing, spacing, spacing, 1.0]))
    return CaseReport(Case(id, Path(f"{id}.nii")), (), geometry)


@pytest.mark.parametrize(("thin", "sound", "is_told"), [(1, 1, False), (1, 5, False), (2, 1, True)])
def test_what_to_do_about_padded_scans_is_told_where_they_are_most(
    thin: int, sound: int, is_told: bool
) -> None:
    recipe = load_recipe("small-ct", ["preprocessing.spacing_mm=[2.0, 2.0, 2.0]"])
    reports = [case_report(f"t{n}", (30, 100, 100), 1) for n in range(thin)]
    reports += [case_report(f"s{n}", (100, 100, 100), 1) for n in range(sound)]
    (finding,) = estimate_preparation(reports, recipe)[1]
    assert finding.text.startswith(f"{thin} of {thin + sound} prepared scans have fewer voxels")
    assert ("smaller patches" in finding.remedy) == bool(finding.remedy) == is_told


def test_the_estimate_adds_up() -> None:
    recipe = load_recipe("small-ct", ["preprocessing.spacing_mm=[2.0, 2.0, 2.0]"])
    estimate, findings = estimate_preparation(
        [case_report("a", (100, 100, 100), 1), case_report("b", (30, 100, 100), 1)], recipe
    )
    assert estimate is not None
    assert (estimate.smallest, estimate.largest) == ((15, 50, 50), (50, 50, 50))
    assert findings[0].code == "smaller-than-patch"
    assert "15 x 50 x 50" in findings[0].text
    estimate, findings = estimate_preparation([case_report("c", (100, 100, 100), 900)], recipe)
    assert estimate is None
    assert findings[0].code == "too-many-voxels"
    assert findings[0].remedy.startswith("Correct the header")


def test_every_code_is_explained_in_the_documentation() -> None:
    page = (DOCS / "check.md").read_text("utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []


def test_the_real_data_sets(real_data: Path) -> None:
    checked = check_scans(lambda: load_nnunet(real_data / "hippocampus"))
    assert checked.counts["error"] == checked.counts["warning"] == 0
    assert len(list(check_tables(checked))) == 5


def test_a_mess_is_listed_with_long_names(scans: Path, run: Run) -> None:
    """Brackets are no markup, and a hundred notes of one kind do not fill the screen."""
    for number in range(12):
        shutil.copy(scans / "clinic/d.nii.gz", scans / f"clinic/copy [bold]{number:02}.nii.gz")
    code, out, _ = run("check", *options(scans))
    assert code == 0
    assert "copy [bold]00.nii.gz" in out
    assert out.count("warning") == 2  # one line for all, and their number
    assert "every file by its name: --json has all" in " ".join(out.split())


@pytest.mark.parametrize("width", [80, 200])
def test_names_of_files_are_not_broken(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(console, "width", width)
    name = "a_name_[with]_brackets_of_a_patient_of_1234567"
    for part in ("images", "labels"):
        array = np.zeros((4, 4, 4), np.uint8)
        array[1, 1, 1] = part == "labels"
        write_volume(tmp_path / "train" / part / f"{name}.nii", Volume(array, np.eye(4)))
    _, out, _ = run("check", "--labelled", tmp_path / "train")
    assert f"images/{name}.nii" in out
