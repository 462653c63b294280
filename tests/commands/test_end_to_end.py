"""Every command, as a person types them, on small phantom scans."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from dvcl import cli
from dvcl.commands import demo
from dvcl.volume import Volume, read_geometry, read_label, read_volume, write_volume

TINY = (
    "--set=preprocessing.spacing_mm=[12.0, 10.0, 10.0]",
    "--set=sampling.patch=[16, 16, 16]",
    "--set=network.levels=3",
    "--set=network.base_channels=4",
    "--set=training.iterations=4",
    "--set=training.validate_every=2",
    "--set=window.size=[16, 32, 32]",
    "--set=window.stride=[16, 32, 32]",
    "--set=methods.dvcl.queries=32",
)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, standard output, standard error."""
    sys.argv = ["dvcl", *map(str, words)]
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared study: scans/ and work/."""
    folder = tmp_path_factory.mktemp("study")
    counts = ["--labelled=2", "--unlabelled=3", "--validation=1", "--test=2"]
    sys.argv = ["dvcl", "phantom", str(folder / "scans"), *counts]
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    scans = folder / "scans"
    sys.argv = [
        "dvcl", "prepare", str(folder / "work"), f"--labelled={scans / 'labelled'}",
        f"--unlabelled={scans / 'unlabelled'}", f"--validation={scans / 'validation'}",
        f"--test={scans / 'test'}", f"--labels={scans / 'labels.json'}", "--workers=1", *TINY,
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    return folder


def test_train_predict_evaluate_report(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = study / "work"
    for method in ("supervised", "dvcl"):
        code, out, err = run(capsys, "train", work, "--method", method, "--device=cpu")
        assert code == 0, err
        folder = work / "runs" / "small-ct" / method / "seed-0"
        assert str(folder) in out.replace("\n", "")
        assert {path.name for path in folder.iterdir()} >= {
            "run.json", "journal.jsonl", "last.safetensors", "best.safetensors", "curves.png",
        }  # fmt: skip
        code, out, err = run(capsys, "evaluate", folder, "--device=cpu")
        assert code == 0, err
        assert "liver" in out
        rows = list(csv.DictReader((folder / "cases.csv").read_text().splitlines()))
        assert len(rows) == 2 * 13
    code, out, err = run(capsys, "report", work)
    assert code == 0, err
    page = (work / "report" / "index.html").read_text()
    assert "left adrenal gland" in page
    assert not re.search(r'(src|href)="http', page), "the page must open offline"


def test_prediction_lies_on_the_voxels_of_any_scan(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(capsys, "train", study / "work", "--method=supervised", "--device=cpu")
    source = next((study / "scans" / "test" / "images").iterdir())
    turned = read_volume(source, np.int16)
    odd = Volume(np.ascontiguousarray(turned.array[::-1, :, ::2].transpose(2, 0, 1)), np.eye(4))
    affine = np.array([[0, 0, -3.0, 5], [2.5, 0.1, 0, -7], [0, 6.0, 0.2, 11], [0, 0, 0, 1]])
    write_volume(tmp_path / "scans" / "ödd scan.nii.gz", Volume(odd.array, affine))
    out = tmp_path / "masks"
    folder = study / "work" / "runs" / "small-ct" / "supervised" / "seed-0"
    code, _, err = run(
        capsys, "predict", folder, tmp_path / "scans", "--out", out, "--fast", "--device=cpu"
    )
    assert code == 0, err
    mask = read_geometry(out / "ödd scan.nii.gz")
    scan = read_geometry(tmp_path / "scans" / "ödd scan.nii.gz")
    assert mask.shape == scan.shape
    assert np.allclose(mask.affine, scan.affine)
    values = set(np.unique(read_label(out / "ödd scan.nii.gz").array).tolist())
    assert values <= set(range(14))
    assert (out / "ödd scan.png").stat().st_size > 0


def test_labels_of_unlabelled_cases_change_nothing(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --labelled-cases 1 the other labelled case joins the unlabelled ones, label unread."""
    work = study / "work"
    arguments = ("train", work, "--method=dvcl", "--labelled-cases=1", "--device=cpu")
    assert run(capsys, *arguments, "--name=before")[0] == 0
    record = json.loads((work / "runs/before/dvcl/seed-0/run.json").read_text())
    (hidden,) = [
        case for case in record["settings"]["split"]["unlabelled"] if case <= "phantom_0002"
    ]
    stored = next((work / "store").glob(f"*/{hidden}/label.npy"))
    label = np.load(stored)
    np.save(stored, (label + 1) % 14)
    try:
        assert run(capsys, *arguments, "--name=after")[0] == 0
    finally:
        np.save(stored, label)
    before, after = (
        (work / f"runs/{name}/dvcl/seed-0/best.safetensors").read_bytes()
        for name in ("before", "after")
    )
    assert before == after


def test_score_a_folder_of_masks(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    labels = study / "scans" / "test" / "labels"
    code, out, err = run(
        capsys, "evaluate", labels, "--reference", study / "scans" / "test", "--labels",
        study / "scans" / "labels.json", "--out", tmp_path / "scores.csv",
    )  # fmt: skip
    assert code == 0, err
    assert "100.00" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("train", "nowhere"), "dvcl prepare"),
        (("train", "WORK", "--method", "dcvl"), "'dcvl'"),
        (("train", "WORK", "--set", "training.rtae=1"), "did you mean 'rate'"),
        (("train", "WORK", "--set", "sampling.patch=[15, 16, 16]"), "multiple of 4"),
        (("train", "WORK", "--labelled-cases", "9"), "9 labelled cases"),
        (("predict", "nowhere", "x.nii.gz", "--out", "masks"), "not a run"),
        (("evaluate", "nowhere"), "not a run"),
        (("prepare", "w"), "--labelled"),
        (("prepare", "w", "--labelled", "nowhere"), "nowhere"),
        (("report", "nowhere"), "dvcl prepare"),
    ],
)
def test_wrong_input_ends_with_code_2_and_says_what_to_do(
    study: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
) -> None:
    places = {"WORK": str(study / "work")}
    code, _, err = run(capsys, *(places.get(word, word) for word in words))
    assert code == 2
    assert expected in err
    assert "Traceback" not in err


def test_no_unlabelled_scans(
    study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A supervised method trains without them, a semi-supervised one is refused at once."""
    scans = study / "scans"
    code, _, err = run(
        capsys, "prepare", tmp_path, f"--labelled={scans / 'labelled'}", "--workers=1", *TINY
    )
    assert code == 0, err
    code, _, err = run(capsys, "train", tmp_path, "--method=dvcl", "--device=cpu")
    assert code == 2
    assert "no unlabelled case" in err
    code, out, err = run(capsys, "train", tmp_path, "--method=supervised", "--device=cpu")
    assert code == 0, err
    assert "No validation" in out.replace("\n", " ")


def test_unreadable_checkpoint(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", study / "work", "--method=cps", "--device=cpu")
    folder = study / "work" / "runs" / "small-ct" / "cps" / "seed-0"
    weights = folder / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    scan = next((study / "scans" / "test" / "images").iterdir())
    code, _, err = run(capsys, "predict", folder, scan, "--out", folder / "masks", "--device=cpu")
    assert code == 2
    assert "best.safetensors" in err


def test_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "CASES", (2, 2, 1, 1))
    code, out, err = run(capsys, "demo", f"--out={tmp_path}", "--device=cpu", *TINY)
    assert code == 0, err
    assert "supervised" in out
    assert "dvcl" in out
    assert (tmp_path / "work" / "report" / "index.html").exists()
