"""`dvcl predict` with several runs, mirrored windows, and maps of the uncertainty."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dvcl.commands.predict import predict_files
from dvcl.commands.targets import tell_apart
from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import make_split
from dvcl.studies.members import Members
from dvcl.studies.run import open_run
from dvcl.volume import Volume, read_label, read_volume, write_volume

LEARNS = ("training.rate=0.3", "training.warmup=5", "network.base_channels=4")

Command = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([3.0, -3.0, 3.0, 1.0])


def scan(seed: int) -> np.ndarray:
    array = np.full((20, 20, 20), -1000, np.int16)
    array[2:18, 2:18, 2:18] = np.random.default_rng(seed).integers(0, 40, (16, 16, 16))
    array[5:12, 5:12, 5:12] += 200
    return array


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> dict[str, Path]:
    """Runs of two steps by their names, on one study."""
    folder = tmp_path_factory.mktemp("members")
    label = np.zeros((20, 20, 20), np.uint8)
    label[5:12, 5:12, 5:12] = 1
    for seed in range(4):
        image = folder / "train" / "images" / f"p{seed}.nii.gz"
        write_volume(image, Volume(scan(seed), AFFINE))
        write_volume(folder / "train" / "labels" / f"p{seed}.nii.gz", Volume(label, AFFINE))
    dataset = load_folders(folder / "train")
    project = prepare_tiny(folder / "work", dataset)
    split = make_split(dataset)

    def train(method: str, seed: int, *changes: str) -> Path:
        changes = ("training.iterations=20", *LEARNS, *changes)
        recipe = project.load_recipe(None, changes)
        name = f"{method}{seed}{len(changes)}"
        return train_run(project, recipe, method, split, seed=seed, name=name, device="cpu").folder

    return {
        "one": train("supervised", 0),
        "other": train("supervised", 1),
        "pair": train("supervised_pair", 0),
        "mirrored": train("supervised", 2, "sampling.flips=['W']"),
        "wide": train("supervised", 3, "window.size=[16, 32, 16]"),
    }


@pytest.fixture
def predict(run: Command, tmp_path: Path):
    """predict(name, *runs, options) -> the folder of the masks of one scan, a.nii.gz."""
    write_volume(tmp_path / "a.nii.gz", Volume(scan(9), AFFINE))

    def predict(name: str, *words: object, code: int = 0) -> Path | str:
        runs = [word for word in words if isinstance(word, Path)]
        options = [word for word in words if not isinstance(word, Path)]
        found, _, err = run(
            "predict", *runs, tmp_path / "a.nii.gz", "--out", tmp_path / name, "--device=cpu",
            "--trust", *options,
        )  # fmt: skip
        assert found == code, err
        return tmp_path / name if code == 0 else " ".join(err.split())

    return predict


def label(folder: Path, name: str = "a") -> np.ndarray:
    return read_label(folder / f"{name}.nii.gz").array


def test_an_ensemble_of_twice_the_same_run_is_the_run(runs, predict, tmp_path: Path) -> None:
    alone = predict("alone", runs["one"], "--uncertainty", "--no-pictures")
    twice, opened = tmp_path / "twice", open_run(runs["one"])
    targets = {tmp_path / "a.nii.gz": twice / "a.nii.gz"}
    # `open_members` refuses it.
    members = Members((opened, opened), opened.recipe.window)
    predict_files(members, targets, device=torch.device("cpu"), maps=True)
    assert np.array_equal(label(alone), label(twice))
    maps = [read_volume(folder / "a.uncertainty.nii.gz").array for folder in (alone, twice)]
    assert np.array_equal(*maps)
    assert not (alone / "a.disagreement.nii.gz").exists()
    assert read_volume(twice / "a.disagreement.nii.gz").array.max() == 0
    organs = [json.loads((f / "a.doubts.json").read_text())["organs"] for f in (alone, twice)]
    assert organs[0] == organs[1]
    assert {"uncertainty", "agreement"} <= set(organs[0]["label 1"])


def test_members_are_the_runs_own_masks_and_maps_lie_on_the_scan(runs, predict) -> None:
    both = predict("both", runs["one"], runs["other"], "--uncertainty", "--members")
    for number, name in enumerate(("one", "other"), start=1):
        own = predict(name, runs[name], "--no-pictures")
        assert np.array_equal(label(both, f"a.member-{number}"), label(own))
    for name in ("uncertainty", "disagreement"):
        found = read_volume(both / f"a.{name}.nii.gz")
        assert found.shape == (20, 20, 20)
        assert np.allclose(found.affine, AFFINE)
        assert 0 <= found.array.min() < found.array.max() <= 1
    page = (both / "index.html").read_text()
    shown = json.loads(re.search(r'data-title="a">(.*?)</script>', page)[1])["maps"]
    assert [each["name"] for each in shown] == ["uncertainty", "disagreement"]


def test_both_networks_of_a_pair_are_members(runs, predict) -> None:
    pair = predict("pair", runs["pair"], "--uncertainty", "--members", "--no-pictures")
    assert {file.name for file in pair.iterdir()} >= {
        "a.uncertainty.nii.gz", "a.disagreement.nii.gz",
        "a.member-1.nii.gz", "a.member-2.nii.gz",
    }  # fmt: skip


def test_what_lacks_beside_a_mask_is_made(runs, predict) -> None:
    words = ("kept", runs["one"], "--skip-existing", "--no-pictures")
    folder = predict(*words)
    before = (folder / "a.nii.gz").stat().st_mtime_ns
    assert predict(*words) == folder
    assert (folder / "a.nii.gz").stat().st_mtime_ns == before
    predict(*words, "--uncertainty")
    assert (folder / "a.uncertainty.nii.gz").exists()
    assert (folder / "a.nii.gz").stat().st_mtime_ns > before


def test_mirrored_passes_only_where_training_had_them(runs, predict) -> None:
    plain = predict("plain", runs["mirrored"], "--uncertainty", "--no-pictures")
    mirrored = predict("mirrored", runs["mirrored"], "--uncertainty", "--no-pictures", "--mirror")
    maps = [read_volume(folder / "a.uncertainty.nii.gz").array for folder in (plain, mirrored)]
    assert not np.array_equal(*maps)
    told = predict("no", runs["mirrored"], runs["one"], "--mirror", code=2)
    assert f"{runs['one']}: --mirror found, but it was trained without mirrored patches" in told
    assert str(runs["mirrored"]) not in told


@pytest.mark.parametrize("form", ["itself", "alias", "short", "copy"])
def test_a_run_counts_once_in_a_mean(form: str, runs, predict, tmp_path: Path) -> None:
    one, study = runs["one"], runs["one"].parents[3]
    again = {"itself": one, "short": study / one.parents[1].name}.get(form, tmp_path / form)
    if form == "alias":
        again.symlink_to(one)
    if form == "copy":
        shutil.copytree(one, again)
    told = predict("no", one, runs["other"], again, code=2)
    assert "in which each is to count once" in told
    assert ("has the same weights as" if form == "copy" else "once more") in told
    assert str(runs["other"]) not in told
    assert not (tmp_path / "no").exists()


def test_every_run_may_be_named_in_short(runs, predict) -> None:
    study = runs["one"].parents[3]
    long = predict("long", runs["one"], runs["other"], "--no-pictures")
    short = predict(
        "short", *(study / runs[name].parents[1].name for name in ("one", "other")), "--no-pictures"
    )
    assert np.array_equal(label(long), label(short))
    told = predict("no", runs["one"], study, code=2)
    assert f"{study}: fits {len(runs)} runs, one was expected" in told


def test_scans_in_a_study_are_scans(runs, tmp_path: Path) -> None:
    study = runs["one"].parents[3]
    write_volume(tmp_path / "a.nii.gz", Volume(scan(9), AFFINE))
    shutil.copytree(study, tmp_path / "study")
    (tmp_path / "study" / "supervised").mkdir()
    shutil.move(tmp_path / "a.nii.gz", tmp_path / "study" / "supervised" / "a.nii.gz")
    paths = [
        tmp_path / "study" / name for name in ("supervised", runs["one"].parents[1].name, "gone")
    ]
    assert tell_apart(paths) == ([paths[1]], [paths[0], paths[2]])


def test_runs_that_cannot_predict_together_are_refused(runs, predict, run) -> None:
    told = predict("no", runs["one"], runs["wide"], code=2)
    assert (
        f"{runs['wide']}: window.size (16, 32, 16) found, (16, 16, 16) as in {runs['one']} expected"
    ) in told
    told = predict("no", runs["one"], "--members", code=2)
    assert "--members: one network predicts" in told
    code, _, err = run("predict", runs["one"], runs["other"], "--out", "no")
    assert code == 2
    assert "and no scan; scans, or folders of scans, were expected" in err
