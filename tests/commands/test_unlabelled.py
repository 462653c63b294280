"""`dvcl next` and `dvcl sheet` on a tiny study."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders, load_nnunet
from dvcl.splits import make_split
from dvcl.studies.project import open_project
from dvcl.volume import Volume, read_label, read_volume, write_volume

Command = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])
LEARNS = ("training.iterations=30", "training.rate=0.3", "training.warmup=5",
          "training.validate_every=30", "network.base_channels=4")  # fmt: skip


def scan(seed: int, noise: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A bright cube in the body, and the cube."""
    array = np.full((16, 16, 16), -1000, np.int16)
    array[1:15, 1:15, 1:15] = np.random.default_rng(seed).integers(0, noise, (14, 14, 14))
    label = np.zeros(array.shape, np.uint8)
    label[4:11, 4:11, 4:11] = 7
    array[label > 0] += 200
    return array, label


def write_pair(folder: Path, name: str, seed: int) -> None:
    image, label = (Volume(array, AFFINE) for array in scan(seed))
    write_volume(folder / "images" / f"{name}.nii.gz", image)
    write_volume(folder / "labels" / f"{name}.nii.gz", label)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Path:
    """work/ with the runs one, two and pair; pile/ of four scans, the last one of the labelled."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for seed in range(3):
        write_pair(folder / "train", f"p{seed}", seed)
    for seed in range(3, 6):
        write_pair(folder / "val", f"v{seed}", seed)
    for seed in range(10, 13):
        noise = 300 if seed == 12 else 40
        image = Volume(scan(seed, noise)[0], AFFINE)
        write_volume(folder / "pile" / f"u{seed}.nii.gz", image)
    shutil.copy(folder / "train" / "images" / "p0.nii.gz", folder / "pile" / "z.nii.gz")
    (folder / "train" / "labels.json").write_text('{"7": "cube"}')
    project = prepare_tiny(
        folder / "work", load_folders(folder / "train", validation=folder / "val")
    )
    recipe, split = project.load_recipe(None, LEARNS), make_split(project.dataset)
    for name, method, seed in (("one", "supervised", 0), ("two", "supervised", 1),
                               ("pair", "supervised_pair", 0)):  # fmt: skip
        train_run(project, recipe, method, split, seed=seed, name=name, device="cpu")
    return folder


@pytest.fixture(scope="module")
def elsewhere(study: Path, prepare_tiny) -> Path:
    """A run of another study, which has the validation scans under other names, one as a label."""
    write_pair(study / "train2", "first", 20)
    write_pair(study / "train2", "v4", 3)
    for name, seed in (("v3", 4), ("v5", 5)):
        write_pair(study / "val2", name, seed)
    shutil.copy(study / "train" / "labels.json", study / "train2")
    project = prepare_tiny(
        study / "work2", load_folders(study / "train2", validation=study / "val2")
    )
    return train_run(
        project, project.load_recipe(None, LEARNS), "supervised", make_split(project.dataset),
        seed=2, name="other", device="cpu",
    ).folder  # fmt: skip


def runs_of(study: Path, *names: str) -> list[Path]:
    return [next((study / "work" / "runs" / name).glob("*/seed-*")) for name in names]


@pytest.fixture
def following(study: Path, run: Command, tmp_path: Path):
    """following(*names of runs, options) -> the record of `dvcl next`, what it says."""

    def following(*words: str, code: int = 0) -> tuple[dict, str]:
        names = [word for word in words if not word.startswith("-")]
        options = [word for word in words if word.startswith("-")]
        found, out, err = run(
            "next", *runs_of(study, *names), "--unlabelled", study / "pile", "--device=cpu",
            "--out", tmp_path / "out", *options,
        )  # fmt: skip
        assert found == code, err
        record = tmp_path / "out" / "next.json"
        told = " ".join((out + err).split())
        return (json.loads(record.read_text()) if record.exists() else {}), told

    return following


@pytest.mark.parametrize("names", [("one",), ("one", "two"), ("pair",)], ids="+".join)
def test_chosen_scans_lie_ready_to_be_corrected_and_prepared(
    names, following, run: Command, study: Path, tmp_path: Path
) -> None:
    record, told = following(*names, "-n2")
    assert "Left out, as the runs have them with a label" in told
    assert "z.nii.gz" in told
    ranked = record["scans"]
    assert [one["rank"] for one in ranked] == [1, 2, 3]
    assert [one["chosen"] for one in ranked] == [True, True, False]
    assert sorted(Path(one["scan"]).name for one in ranked) == [
        f"u{n}.nii.gz" for n in (10, 11, 12)
    ]
    for one in ranked:
        assert 0 <= one["uncertainty"] <= 1
        assert 0 <= one["disagreement"] <= 1
        assert one["reason"]
    ready = tmp_path / "out" / "to-correct"
    for one in ranked[:2]:
        assert one["reason"] in told
        name = Path(one["scan"]).name
        assert (ready / "images" / name).read_bytes() == Path(one["scan"]).read_bytes()
        assert np.array_equal(
            read_label(ready / "labels" / name).array, read_label(Path(one["mask"])).array
        )
    assert (tmp_path / "out" / "next.png").exists()
    work = shutil.copytree(study / "work", tmp_path / "work")
    code, _, err = run("prepare", work, "--add", ready)
    assert code == 2
    assert err.count("is as networks predicted it") == 2
    # Copies of those that lie where they do without --out are known too.
    shutil.copytree(ready, work / "unlabelled" / "to-correct")
    copies = shutil.copytree(ready, tmp_path / "copies")
    (copies / "as-predicted.json").unlink()
    code, _, err = run("prepare", work, "--add", copies)
    assert code == 2
    assert err.count("is as networks predicted it") == 2
    for mask in (ready / "labels").glob("*.nii.gz"):
        drawn = read_label(mask)
        drawn.array[0, 0, 0] = 7 - drawn.array[0, 0, 0]
        write_volume(mask, drawn)
    code, _, err = run("prepare", work, "--add", ready)
    assert code == 0, err
    dataset = open_project(work).dataset
    added = {Path(one["scan"]).name.removesuffix(".nii.gz") for one in ranked[:2]}
    labelled = {case.id for case in dataset.with_role("labelled")}
    assert labelled == added | {"p0", "p1", "p2"}


def test_the_scan_unlike_the_others_comes_first(following) -> None:
    record, _ = following("pair", "-n1")
    assert Path(record["scans"][0]["scan"]).name == "u12.nii.gz"


def test_masks_are_made_once_and_corrections_never_replaced(following, tmp_path: Path) -> None:
    following("one", "-n1")
    made = [path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").glob("u*.nii.gz")]
    _, told = following("one", "-n1", code=2)
    assert "to-correct: is there already" in told
    shutil.rmtree(tmp_path / "out" / "to-correct")
    following("one", "-n3")
    assert made == [
        path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").glob("u*.nii.gz")
    ]


def test_more_than_there_are_and_nothing_but_labelled_scans_are_refused(
    following, run: Command, study: Path, tmp_path: Path
) -> None:
    _, told = following("one", "-n4", code=2)
    assert "-n 4: 1 to 3 expected" in told
    code, _, err = run("next", *runs_of(study, "one"), "--unlabelled", study / "train", "--out",
                       tmp_path / "none", "--device=cpu")  # fmt: skip
    assert code == 2
    assert "every scan there has a label already" in " ".join(err.split())
    assert not (tmp_path / "out" / "to-correct").exists()


def test_a_damaged_scan_is_named_before_any_work(run: Command, study: Path, tmp_path: Path) -> None:
    pile = tmp_path / "pile"
    shutil.copytree(study / "pile", pile)
    (pile / "broken.nii.gz").write_bytes(b"no volume")
    code, _, err = run("next", *runs_of(study, "one"), "--unlabelled", pile, "--out",
                       tmp_path / "out", "--device=cpu", "-n1")  # fmt: skip
    assert code == 2
    assert "broken.nii.gz" in err
    assert not (tmp_path / "out" / "masks").exists()


def test_limits_are_of_scans_that_no_run_has_learned_from(
    study: Path, elsewhere: Path, run: Command, tmp_path: Path
) -> None:
    """Scan 3 is a label of the other run; 4 and 5 are validation of both, one under other ids."""
    code, out, err = run(
        "sheet", *runs_of(study, "one"), elsewhere, "--unlabelled", study / "pile", "--device=cpu",
        "--out", tmp_path, "--dice=0", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert {row["case"] for row in json.loads(out)["validation"]} == {"v4", "v5"}


@pytest.fixture
def sheet(study: Path, run: Command, tmp_path: Path):
    """sheet(*names of runs, options) -> rows of the table by scan, what is said."""

    def sheet(*words: str, code: int = 0) -> tuple[dict[str, dict[str, str]], str]:
        names = [word for word in words if not word.startswith("-")]
        options = [word for word in words if word.startswith("-")]
        found, out, err = run(
            "sheet", *runs_of(study, *names), "--unlabelled", study / "pile", "--device=cpu",
            "--out", tmp_path / "out", *options,
        )  # fmt: skip
        assert found == code, err
        path = tmp_path / "out" / "sheet.csv"
        rows = csv.DictReader(path.read_text().splitlines()) if path.exists() else ()
        return {row["scan"]: row for row in rows}, " ".join((out + err).split())

    return sheet


@pytest.mark.parametrize("names", [("one",), ("one", "two"), ("pair",)], ids="+".join)
def test_a_sheet_has_a_row_for_every_scan_without_a_label(
    names, sheet, study: Path, tmp_path: Path
) -> None:
    rows, told = sheet(*names, "--dice=0.05")
    assert [*rows] == ["u10", "u11", "u12"]
    assert "3 of 3 validation cases reach a mean Dice of 0.05" in told
    assert "3 cases tell little: 1 in 4 good masks is rejected by chance alone" in told
    record = json.loads((tmp_path / "out" / "masks" / "u10.doubts.json").read_text())
    organ, row = record["organs"]["cube"], rows["u10"]
    assert float(row["cube ml"]) == pytest.approx(organ["volume_ml"], abs=1e-4)
    assert int(row["doubts"]) == len(record["doubts"])
    if names == ("one",):
        assert float(row["cube agreement"]) == pytest.approx(organ["agreement"], abs=1e-4)
    else:
        one, two = (
            read_label(tmp_path / "out" / "masks" / f"u10.member-{n}.nii.gz").array == 7
            for n in (1, 2)
        )
        dice = 2 * (one & two).sum() / (one.sum() + two.sum())
        assert float(row["cube agreement"]) == pytest.approx(dice, abs=1e-4)
    page = (tmp_path / "out" / "sheet.html").read_text()
    assert all(name in page for name in ("u10", "u12", "v3", "Validation cases"))


@pytest.mark.parametrize("form", ["plain", "nnunet"])
def test_accepted_masks_are_exported_as_what_they_are(
    form: str, sheet, study: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "Dataset001_pseudo"
    rows, _ = sheet("pair", "--dice=0.05", f"--export={folder}", f"--form={form}")
    accepted = {name for name, row in rows.items() if row["verdict"] == "accept"}
    assert accepted
    assert all(rows[name]["doubts"] == "0" for name in accepted)
    loaded = load_folders(folder) if form == "plain" else load_nnunet(folder)
    assert {case.id for case in loaded.cases} == accepted
    assert loaded.modality == "CT"
    for case in loaded.cases:
        assert case.label
        found, mask = (
            read_label(path).array
            for path in (case.label, tmp_path / f"out/masks/{case.id}.nii.gz")
        )
        value = 7 if form == "plain" else 1
        assert np.array_equal(found == value, mask == 7)
        image = read_volume(study / "pile" / f"{case.id}.nii.gz")
        assert np.array_equal(read_volume(case.image).array, image.array)
    record = json.loads((folder / "pseudo-labels.json").read_text())
    assert record["pseudo_labels"] is True
    assert {Path(one["scan"]).name.removesuffix(".nii.gz") for one in record["scans"]} == accepted
    assert "nobody has drawn" in (folder / "README.md").read_text()
    _, told = sheet("pair", "--dice=0.05", f"--export={folder}", code=2)
    assert "is there already" in told


def test_without_a_good_validation_case_nothing_is_accepted(sheet, tmp_path: Path) -> None:
    rows, told = sheet("one", "--dice=1", f"--export={tmp_path / 'new'}", code=2)
    assert {row["verdict"] for row in rows.values()} == {"reject"}
    assert "0 of 3 validation cases reach a mean Dice of 1.00, none of them" in told
    assert "none of 3 masks is accepted" in told
    assert not (tmp_path / "new").exists()


def test_results_are_told_as_json(run: Command, study: Path, tmp_path: Path) -> None:
    words = (*runs_of(study, "one"), "--unlabelled", study / "pile", "--device=cpu", "--json",
             "--out", tmp_path / "out")  # fmt: skip
    code, out, err = run("next", *words, "-n2")
    assert code == 0, err
    assert json.loads(out)["scans"] == json.loads((tmp_path / "out/next.json").read_text())["scans"]
    code, out, err = run("sheet", *words, "--dice=1")
    assert code == 0, err
    found = json.loads(out)
    assert [one["verdict"] for one in found["scans"]] == ["reject"] * 3
    assert found["limits"]["accept_from"] is None


def test_next_takes_the_masks_of_a_sheet(sheet, following, tmp_path: Path) -> None:
    sheet("pair")
    made = [path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").glob("u*.nii.gz")]
    following("pair", "-n1")
    assert made == [
        path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").glob("u*.nii.gz")
    ]
