"""`dvcl predict` on scans that are like those of the training, and on others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dvcl.commands.mask_folder import read_mask
from dvcl.commands.predict import predict_files
from dvcl.commands.targets import choose_targets
from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.inference.predict import Segmentation
from dvcl.inference.seen import SeenOrgan
from dvcl.splits import make_split
from dvcl.store import open_store
from dvcl.studies.members import Members
from dvcl.studies.run import open_run
from dvcl.studies.seen import record_seen
from dvcl.volume import Volume, read_geometry, read_label, write_volume

Command = Callable[..., tuple[int, str, str]]

AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])
USUAL = ("--device=cpu", "--no-pictures")


def scan(seed: int) -> np.ndarray:
    """Water with noise in air."""
    array = np.full((16, 16, 16), -1000)
    array[2:14, 2:14, 2:14] = np.random.default_rng(seed).integers(0, 40, (12, 12, 12))
    return array.astype(np.int16)


def cube(start: int = 4) -> np.ndarray:
    label = np.zeros((16, 16, 16), np.uint8)
    label[start : start + 6, 4:10, 4:10] = 1
    return label


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Path:
    """A run of two steps; its scans are beside its study, named as nnU-Net names them."""
    folder = tmp_path_factory.mktemp("predict")
    for seed in range(4):
        image = folder / "train" / "images" / f"p{seed}_0000.nii.gz"
        write_volume(image, Volume(scan(seed), AFFINE))
        write_volume(folder / "train" / "labels" / f"p{seed}.nii.gz", Volume(cube(), AFFINE))
    dataset = load_folders(folder / "train")
    project = prepare_tiny(folder / "work", dataset)
    split = make_split(dataset)
    return train_run(project, project.load_recipe(), "supervised", split, device="cpu").folder


def findings(folder: Path, name: str, where: Path) -> list[str]:
    """Codes of the record beside a mask that are about one file."""
    record = json.loads((folder / f"{name}.doubts.json").read_text())
    return [doubt["code"] for doubt in record["doubts"] if doubt["where"] == str(where)]


def test_a_run_has_a_record_of_what_it_has_seen(trained: Path) -> None:
    record = json.loads((trained / "seen.json").read_text())
    assert record["of"] == len(record["scans"]) == len(record["label_maps"])
    volumes = [organs["label 1"]["volume_ml"] for organs in record["label_maps"]]
    assert volumes == pytest.approx([6**3 * 4**3 / 1000] * record["of"])
    assert {scan["field_x"] for scan in record["scans"]} == {64}


def test_doubts_are_told_written_and_end_with_code_3(
    trained: Path, run: Command, tmp_path: Path
) -> None:
    usual = trained.parents[4] / "train" / "images" / "p0_0000.nii.gz"
    odd = tmp_path / "odd_0000.nii.gz"
    write_volume(odd, Volume(scan(9) + 1024, AFFINE))
    out = tmp_path / "masks"
    code, said, err = run("predict", trained, usual, odd, "--out", out, *USUAL)
    assert code == 3, err
    assert f"Doubt: {odd}: the darkest voxels are near 24" in said
    assert " of 2: see *.doubts.json beside them." in said
    assert {path.name for path in out.iterdir()} == {
        "p0.nii.gz", "p0.doubts.json", "odd.nii.gz", "odd.doubts.json",
        "labels.json", "labels.ctbl", "labels.itksnap.txt", "volumes.csv",
    }  # fmt: skip
    assert findings(out, "p0", usual) == []
    assert findings(out, "odd", odd)[0] == "hu-offset"
    words = ("predict", trained, odd, "--out", out, *USUAL, "--trust")
    code, said, _ = run(*words)
    assert code == 0
    assert "Doubt: " in said
    assert run("predict", trained, odd, "--out", out, *USUAL, "--skip-existing")[0] == 3


def test_what_was_made_of_something_else_is_made_again(
    trained: Path, run: Command, tmp_path: Path
) -> None:
    scan_file, out = tmp_path / "p.nii.gz", tmp_path / "masks"
    write_volume(scan_file, Volume(scan(0), AFFINE))
    words = ("predict", trained, scan_file, "--out", out, *USUAL, "--trust", "--skip-existing")

    def written(*more: object) -> str:
        code, said, err = run(*words, *more)
        assert code == 0, err
        return said.partition("Label maps written: ")[2][0]

    assert [written(), written()] == ["1", "0"]
    write_volume(scan_file, Volume(scan(5), AFFINE))
    assert [written(), written()] == ["1", "0"], "another scan of that name"
    mask = out / "p.nii.gz"
    mask.write_bytes(mask.read_bytes()[:60])
    assert [written(), written()] == ["1", "0"], "a mask that is cut short"
    assert [written("--fast"), written("--fast")] == ["1", "0"], "other windows"
    record = out / "p.doubts.json"
    record.write_text(record.read_text().replace('"made_of": "', '"made_of": "of other weights '))
    assert [written("--fast"), written("--fast")] == ["1", "0"]


def test_a_corrected_mask_is_never_overwritten(trained: Path, run: Command, tmp_path: Path) -> None:
    for name in "pq":
        write_volume(tmp_path / "scans" / f"{name}.nii.gz", Volume(scan(0), AFFINE))
    out = tmp_path / "masks"
    words = ("predict", trained, tmp_path / "scans", "--out", out, *USUAL, "--trust")
    assert run(*words)[0] == 0
    mask = out / "p.nii.gz"
    write_volume(mask, Volume(cube(5), AFFINE))
    corrected = mask.read_bytes()

    code, said, _ = run(*words, "--skip-existing")
    assert code == 0
    assert "p.nii.gz: has been changed since it was predicted and is kept" in said
    for more in ((), ("--fast",), ("--skip-existing", "--uncertainty")):
        (out / "q.nii.gz").unlink(missing_ok=True)
        code, _, err = run(*words, *more)
        assert (code, err.count("changed since it was predicted, and would be overwritten")) == (
            2,
            1,
        )
        assert (out / "q.nii.gz").exists(), "the others are done"
        assert mask.read_bytes() == corrected
    mask.unlink()
    assert run(*words)[0] == 0


def test_what_was_replaced_is_never_taken_for_its_successor(
    trained: Path, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan_file, out = tmp_path / "p [1].nii.gz", tmp_path / "masks"
    write_volume(scan_file, Volume(scan(0), AFFINE))
    words = ("predict", trained, scan_file, "--out", out, "--device=cpu", "--trust")

    def names() -> set[str]:
        return {path.name for path in out.glob("p*")}

    assert run(*words, "--uncertainty")[0] == 0
    assert names() > {"p [1].png", "p [1].uncertainty.nii.gz"}
    assert run(*words, "--fast", "--no-pictures")[0] == 0
    assert names() == {"p [1].nii.gz", "p [1].doubts.json"}, "map and picture are of other windows"

    with monkeypatch.context() as patched:
        patched.setattr("dvcl.commands.predictor.write_mask", kill)
        assert run(*words)[0] == 130
    assert "Label maps written: 1," in run(*words, "--skip-existing")[1], "stopped before its mask"

    assert run(*words, "--fast", "--format=seg.nrrd")[0] == 0
    again = run(*words, "--fast", "--skip-existing")[1]
    assert "Label maps written: 1," in again, "the record is of the mask in the other format"


def kill(*_: object) -> None:
    raise KeyboardInterrupt


def test_masks_named_by_either_convention_are_scored(
    trained: Path, run: Command, tmp_path: Path
) -> None:
    """ "X" and "X_0000" are one case, as where images meet labels in a training."""
    labels = trained.parents[4] / "train" / "labels"
    for names in (("a", "a_0000"), ("a_0000", "a"), ("a_0000", "a_0000")):
        folders = [tmp_path / "-".join(names) / part for part in ("masks", "references")]
        for folder, name in zip(folders, names, strict=True):
            folder.mkdir(parents=True)
            (folder / f"{name}.nii.gz").write_bytes((labels / "p0.nii.gz").read_bytes())
        code, _, err = run("evaluate", folders[0], "--reference", folders[1])
        assert code == 0, err


def test_a_run_without_a_record_says_so(trained: Path, run: Command, tmp_path: Path) -> None:
    odd = tmp_path / "odd.nii.gz"
    write_volume(odd, Volume(scan(9) + 1024, AFFINE))
    record = (trained / "seen.json").read_text()
    (trained / "seen.json").unlink()
    code, said, _ = run("predict", trained, odd, "--out", tmp_path / "masks", *USUAL)
    assert code == 3, "what the file itself shows is told in any case"
    assert "has no record of what it was trained on" in said
    (trained / "seen.json").write_text("{}")
    code, _, err = run("predict", trained, odd, "--out", tmp_path / "masks", *USUAL)
    assert code == 2
    assert "seen.json: is not as this program writes it" in err
    (trained / "seen.json").write_text(record)


def test_a_channel_in_a_name_is_left_out_of_every_mask(
    trained: Path, run: Command, tmp_path: Path
) -> None:
    """As nnU-Net does, also where one scan of several is so named; and in the run's own masks."""
    for name in ("a_0000", "b"):
        write_volume(tmp_path / "scans" / f"{name}.nii.gz", Volume(scan(0), AFFINE))
    words = ("predict", trained, tmp_path / "scans", "--out", tmp_path / "masks", *USUAL, "--trust")
    assert run(*words)[0] == 0
    assert {path.name for path in (tmp_path / "masks").glob("*.nii.gz")} == {"a.nii.gz", "b.nii.gz"}
    write_volume(tmp_path / "scans" / "a.nii.gz", Volume(scan(1), AFFINE))
    code, _, err = run(*words)
    assert code == 2
    assert "another image is called 'a' too" in err
    assert run("evaluate", trained, "--device=cpu")[0] == 0
    (tested,) = json.loads((trained / "run.json").read_text())["settings"]["split"]["validation"]
    assert [path.name for path in (trained / "predictions").glob("*.nii.gz")] == [
        f"{tested}.nii.gz"
    ]


def test_scans_that_are_numbered_from_0000_keep_their_numbers(tmp_path: Path) -> None:
    """Whichever of them are given; the mask of one among others was called "scan"."""
    scans = [tmp_path / f"scan_000{number}.nii.gz" for number in range(3)]
    for place, path in enumerate(scans):
        write_volume(path, Volume(scan(0)[place:], AFFINE))
    masks = choose_targets([tmp_path], tmp_path / "masks")
    assert [mask.name for mask in masks.values()] == [path.name for path in scans]
    assert [*choose_targets(scans[:1], tmp_path / "masks").values()] == [*masks.values()][:1]


def test_masks_that_were_deleted_leave_no_rows(trained: Path, run: Command, tmp_path: Path) -> None:
    for name in "ab":
        write_volume(tmp_path / "scans" / f"{name}.nii.gz", Volume(scan(0), AFFINE))
    out = tmp_path / "masks"
    more = ("--out", out, "--device=cpu", "--trust")
    assert run("predict", trained, tmp_path / "scans", *more)[0] == 0
    (out / "b.nii.gz").unlink()
    for option in ("--format=seg.nrrd", "--skip-existing"):
        assert run("predict", trained, tmp_path / "scans" / "a.nii.gz", *more, option)[0] == 0
        assert [row[0] for row in volumes(out)] == ["a"]
        rows = (out / "index.html").read_text().partition("<h2>Volumes</h2>")[2]
        assert ">a<" in rows
        assert ">b<" not in rows


def strayed(start: int = 4) -> np.ndarray:
    """A cube, and a voxel in the first corner of the scan."""
    label = cube(start)
    label[0, 0, 0] = 1
    return label


@pytest.fixture
def finds_a_stray(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network finds a cube and a voxel far away from it."""
    monkeypatch.setattr(
        "dvcl.commands.predictor.segment",
        lambda image, *rest: Segmentation(replace(image, array=strayed()), {}, {}, ()),
    )


def volumes(out: Path) -> list[list[str]]:
    """Without the last columns, of limits and doubts, which these masks lack."""
    lines = (out / "volumes.csv").read_text().splitlines()[1:]
    assert all(line.endswith(8 * ",") for line in lines)
    return [line.split(",")[:-8] for line in lines]


KEPT = ["label 1", "13.824", "0.9954", "0.064", "16.0", "no"]
ALL = ["label 1", "13.888", "0.9954", "0.0", "0.0", "yes"]


def test_of_organs_in_one_part_in_training_the_largest_is_kept(
    trained: Path, run: Command, tmp_path: Path, finds_a_stray: None
) -> None:
    assert json.loads((trained / "seen.json").read_text())["one_part"] == ["label 1"]
    write_volume(tmp_path / "p.nii.gz", Volume(scan(0), AFFINE))
    out = tmp_path / "masks"
    words = ("predict", trained, tmp_path / "p.nii.gz", "--out", out, *USUAL, "--trust")
    _, said, _ = run(*words)
    assert "Keeping the largest part of: label 1; in one part in every training label map." in said
    assert "p: removed outside the largest part: label 1 0.064 ml." in said
    assert np.array_equal(read_label(out / "p.nii.gz").array, cube())
    assert volumes(out) == [["p", *KEPT]]
    _, said, _ = run(*words, "--no-keep-largest", "--skip-existing")
    assert "Label maps written: 1," in said, "it was made with another clean-up"
    assert "largest part" not in said
    assert np.array_equal(read_label(out / "p.nii.gz").array, strayed())
    assert volumes(out) == [["p", *ALL]]
    _, said, _ = run(*words, "--keep-largest", "label 1", "--skip-existing")
    assert "Keeping the largest part of: label 1." in said
    assert volumes(out) == [["p", *KEPT]]


def test_all_label_maps_of_the_training_tell_of_parts(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(trained)
    *_, last = opened.split.labelled
    assert len(opened.split.labelled) > 1
    monkeypatch.setattr("dvcl.studies.seen.LOOKED_AT", 1)
    monkeypatch.setattr(
        "dvcl.studies.seen._organs",
        lambda case, run: {"label 1": SeenOrgan(1.0, (0, 0, 0), 0.1 * (case.id == last), False, 1)},
    )
    record = (trained / "seen.json").read_text()
    (trained / "seen.json").unlink()
    record_seen(opened, open_store(opened.store))
    seen = json.loads((trained / "seen.json").read_text())
    (trained / "seen.json").write_text(record)
    assert (len(seen["label_maps"]), seen["one_part"]) == (1, [])


def test_organs_to_clean_up_are_those_of_the_run(
    trained: Path, run: Command, tmp_path: Path
) -> None:
    words = ("predict", trained, trained.parents[4] / "train", "--out", tmp_path, *USUAL)
    code, _, err = run(*words, "--keep-largest", "spleen")
    assert code == 2
    assert "--keep-largest spleen: not among the organs" in err
    assert "label 1 were expected" in err
    code, _, err = run(*words, "--keep-largest", "label 1", "--no-keep-largest")
    assert code == 2
    assert "both" in err


def test_runs_that_did_not_look_at_parts_keep_all(
    trained: Path, run: Command, tmp_path: Path, finds_a_stray: None
) -> None:
    record = (trained / "seen.json").read_text()
    old = json.loads(record)
    del old["one_part"]
    (trained / "seen.json").write_text(json.dumps(old))
    usual = trained.parents[4] / "train" / "images" / "p0_0000.nii.gz"
    _, said, _ = run("predict", trained, usual, "--out", tmp_path, *USUAL)
    (trained / "seen.json").write_text(record)
    assert "has no record of which organs were in one part in training, so all parts" in said
    assert volumes(tmp_path) == [["p0", *ALL]]


def test_a_run_is_scored_without_clean_up(
    trained: Path, tmp_path: Path, finds_a_stray: None
) -> None:
    usual = trained.parents[4] / "train" / "images" / "p0_0000.nii.gz"
    device = torch.device("cpu")
    predict_files(Members.of(open_run(trained)), {usual: tmp_path / "p0.nii.gz"}, device=device)
    assert np.array_equal(read_label(tmp_path / "p0.nii.gz").array, strayed())
    assert {path.name for path in tmp_path.iterdir()} == {"p0.nii.gz", "p0.doubts.json"}


def test_masks_of_several_calls_are_in_one_table(
    trained: Path, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, out = trained.parents[4] / "train" / "images", tmp_path / "masks"
    for name, array in (("p0", cube()), ("p1", 0 * cube())):
        monkeypatch.setattr(
            "dvcl.commands.predictor.segment",
            lambda image, *rest, found=array: Segmentation(replace(image, array=found), {}, {}, ()),
        )
        run("predict", trained, images / f"{name}_0000.nii.gz", "--out", out, *USUAL)
    assert volumes(out) == [
        ["p0", "label 1", "13.824", "1.0", "0.0", "16.0", "no"],
        ["p1", "label 1", "0", "", "", "", ""],
    ]
    names = out / "labels.json"
    assert json.loads(names.read_text()) == {"0": "background", "1": "label 1"}
    names.write_text('{"1": "spleen"}')
    code, _, err = run("predict", trained, images / "p0_0000.nii.gz", "--out", out, *USUAL)
    assert code == 2
    assert "labels.json: names the integers of the label maps there otherwise" in err


@pytest.mark.parametrize(("form", "suffix"), [("dicom-seg", ".seg.dcm"),
                                              ("rtstruct", ".rtstruct.dcm")])  # fmt: skip
def test_dicom_in_dicom_out(
    trained: Path, run: Command, tmp_path: Path, write_series, finds_a_stray: None, form, suffix
) -> None:
    pytest.importorskip("highdicom")
    series = write_series(tmp_path / "scans" / "p7", array=scan(0), spacing_mm=(4, 4, 4))
    out = tmp_path / "masks"
    words = ("predict", trained, series, "--out", out, *USUAL, "--trust", "--format", form)
    code, said, err = run(*words)
    assert code == 0, err
    assert ("No SNOMED code is known for label 1" in said) == (form == "dicom-seg")
    assert (out / f"p7{suffix}").exists()
    assert (out / "p7.doubts.json").exists()
    opened = open_run(trained)
    assert np.array_equal(read_mask(out / f"p7{suffix}", series, opened).array, cube())
    said = run(*words, "--skip-existing")[1]
    assert "Label maps written: 0," in said
    assert ("index.html" in said) == ("--no-pictures" not in words), "where to look at them"
    (out / f"p7{suffix}").write_bytes((out / f"p7{suffix}").read_bytes()[:700])
    assert "Label maps written: 1," in run(*words, "--skip-existing")[1]
    if form == "dicom-seg":
        grid = read_geometry(series)
        write_volume(tmp_path / "references" / "p7.nii.gz", Volume(cube(), grid.affine))
        code, said, err = run("evaluate", out, "--reference", tmp_path / "references")
        assert code == 0, err
        assert "100" in said
