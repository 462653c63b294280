"""`dvcl export`: what is written predicts as the run does, in other programs too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.export import programs
from dvcl.export.predictor import TOLERANCE, trial_patches
from dvcl.files import sha256_of_bytes
from dvcl.splits import make_split
from dvcl.studies.run import Run, open_run
from dvcl.volume import Volume, read_label, write_volume

Command = Callable[..., tuple[int, str, str]]

# Turned axes and uneven voxels: the way there and back is put to the test.
AFFINE = np.array([[0, 3.0, 0, -20], [-3.7, 0, 0, 31], [0, 0, 5.0, 12], [0, 0, 0, 1]])
SHAPE = (16, 24, 20)


def make_scan(seed: int) -> np.ndarray:
    """Two blocks in water, air around."""
    array = np.full(SHAPE, -1000)
    body = (slice(1, 15), slice(3, 21), slice(3, 17))
    array[body] = np.random.default_rng(seed).integers(-20, 20, array[body].shape)
    array[3:9, 5:12, 5:12] += 150
    array[9:13, 12:18, 8:15] -= 120
    return array.astype(np.int16)


def make_label() -> np.ndarray:
    label = np.zeros(SHAPE, np.int16)
    label[3:9, 5:12, 5:12] = 7
    label[9:13, 12:18, 8:15] = 300
    return label


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Run:
    """Two networks of two steps, in float32; their scans are in ``scans`` beside the study."""
    folder = tmp_path_factory.mktemp("export")
    for number in range(3):
        name = f"p{number}.nii.gz"
        write_volume(folder / "scans" / "images" / name, Volume(make_scan(number), AFFINE))
        write_volume(folder / "scans" / "labels" / name, Volume(make_label(), AFFINE))
    (folder / "names.json").write_text('{"7": "block", "300": "hole"}')
    dataset = load_folders(folder / "scans", labels=folder / "names.json")
    project = prepare_tiny(folder / "work", dataset)
    recipe = project.load_recipe(
        changes=("training.precision=float32", "window.stride=[12, 8, 8]", "training.rate=0.5")
    )
    return train_run(project, recipe, "supervised_pair", make_split(dataset), device="cpu")


def predicted(run: Run) -> torch.Tensor:
    method = run.trained_method(torch.device("cpu"))
    return method.predict(trial_patches(run.recipe.window)).detach()


def run_torch(model: Path, patches: torch.Tensor) -> torch.Tensor:
    return torch.export.load(model).module()(patches).detach()


def run_onnx(model: Path, patches: torch.Tensor) -> torch.Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": patches.numpy()})[0])


FORMS = {"torch": ("model.pt2", run_torch), "onnx": ("model.onnx", run_onnx)}


@pytest.mark.parametrize("form", FORMS)
def test_a_written_network_predicts_as_the_run(form: str, trained: Run, run: Command) -> None:
    code, said, err = run("export", trained.folder, "--to", form)
    assert code == 0, err
    name, load = FORMS[form]
    model = trained.folder / "exported" / form / name
    patches = trial_patches(trained.recipe.window)[:2]
    found, expected = load(model, patches), predicted(trained)[:2]
    assert float((found - expected).abs().max()) <= TOLERANCE
    assert str(model) in said

    about = json.loads((model.parent / "model.json").read_text())
    assert about["files"] == {name: {"sha256": sha256_of_bytes(model)}}
    assert about["weights"]["sha256"] == sha256_of_bytes(trained.checkpoint)
    assert [label["value"] for label in about["labels"]] == [0, 7, 300]
    assert [label["name"] for label in about["labels"]] == ["background", "block", "hole"]
    assert about["window"]["stride_zyx"] == [12, 8, 8]
    assert about["preprocessing"]["spacing_mm_zyx"] == [4, 4, 4]
    told = json.dumps(about)
    assert not any(word in told for word in ("p0", str(trained.folder.parents[3])))


def test_monai_segments_with_the_bundle_as_predict_does(
    trained: Run, run: Command, tmp_path: Path
) -> None:
    scans = trained.folder.parents[4] / "scans" / "images"
    bundle, theirs, ours = (tmp_path / name for name in ("bundle", "theirs", "ours"))
    code, said, err = run("export", trained.folder, "--to", "monai", "--out", bundle)
    assert code == 0, err
    assert "Next: cd " in said
    words = ["run", "--config_file", "configs/inference.json"]
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", *words,
         "--dataset_dir", str(scans), "--output_dir", str(theirs)],
        cwd=bundle, capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run("predict", trained.folder, scans, "--out", ours, "--no-pictures", "--device=cpu")
    names = sorted(path.name for path in scans.iterdir())
    assert names == sorted(path.name for path in theirs.iterdir())
    for name in names:
        found, expected = read_label(theirs / name), read_label(ours / name)
        np.testing.assert_allclose(found.affine, expected.affine, atol=1e-6)
        assert set(np.unique(expected.array)) > {0}
        differing = np.count_nonzero(found.array != expected.array)
        # Where two classes are equally probable, rounding decides.
        assert differing <= 1e-3 * expected.array.size, f"{name}: {differing} voxels"


def test_a_bundle_needs_no_dvcl() -> None:
    scripts = Path(programs.__file__).parent / "bundle_scripts"
    assert not [path for path in scripts.glob("*.py") if "import dvcl" in path.read_text()]
    assert not [path for path in scripts.glob("*.py") if "from dvcl" in path.read_text()]


def test_a_file_that_predicts_something_else_is_not_kept(
    trained: Run, run: Command, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(programs, "TOLERANCE", -1.0)
    code, _, err = run("export", trained.folder, "--to", "torch", "--out", tmp_path)
    assert code == 2
    assert "its probabilities differ by up to" in err
    assert [*tmp_path.iterdir()] == []


def test_a_missing_extra_is_named(trained: Run, run: Command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, _, err = run("export", trained.folder, "--to", "onnx", "--out", tmp_path)
    assert code == 2
    assert "pip install onnx onnxscript onnxruntime" in err


def test_windows_that_shrink_have_no_counterpart_in_monai(
    trained: Run, run: Command, tmp_path: Path
) -> None:
    record = json.loads((trained.folder / "run.json").read_text())
    record["settings"]["recipe"]["window"]["fit"] = True
    other = tmp_path / "run"
    other.mkdir()
    (other / "run.json").write_text(json.dumps(record))
    (other / "best.safetensors").write_bytes(trained.checkpoint.read_bytes())
    assert open_run(other).recipe.window.fit
    code, _, err = run("export", other, "--to", "monai", "--out", tmp_path / "bundle")
    assert code == 2
    assert "window.fit" in err
