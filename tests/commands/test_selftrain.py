"""`dvcl selftrain` on a tiny study."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.train import make_sampler
from dvcl.datasets import load_folders
from dvcl.sampling.streams import Chosen, Sampler
from dvcl.studies.project import open_project
from dvcl.studies.run import open_run
from dvcl.training.checkpoint import weights_hash
from dvcl.volume import Volume, write_volume

Command = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])
LEARNS = ("training.iterations=30", "training.rate=0.3", "training.warmup=5",
          "training.validate_every=30", "network.base_channels=4")  # fmt: skip
SETTINGS = [f"--set={change}" for change in LEARNS]
ROUND = "selftrain/small-ct/supervised/seed-0/round-{}"
RUN = "runs/small-ct/supervised/seed-0"


def write_scan(folder: Path, name: str, seed: int, label: bool = True) -> None:
    """A bright cube in the body, and the cube."""
    array = np.full((16, 16, 16), -1000, np.int16)
    array[1:15, 1:15, 1:15] = np.random.default_rng(seed).integers(0, 40, (14, 14, 14))
    cube = np.zeros(array.shape, np.uint8)
    cube[4:11, 4:11, 4:11] = 7
    array[cube > 0] += 200
    write_volume(folder / "images" / f"{name}.nii.gz", Volume(array, AFFINE))
    if label:
        write_volume(folder / "labels" / f"{name}.nii.gz", Volume(cube, AFFINE))


@pytest.fixture
def work(tmp_path: Path, prepare_tiny) -> Path:
    for seed in range(3):
        write_scan(tmp_path / "train", f"p{seed}", seed)
        write_scan(tmp_path / "val", f"v{seed}", 10 + seed)
        write_scan(tmp_path / "test", f"t{seed}", 20 + seed)
        write_scan(tmp_path / "pile", f"u{seed}", 30 + seed, label=False)
    (tmp_path / "train" / "labels.json").write_text('{"7": "cube"}')
    parts = {part: tmp_path / name for part, name in (("validation", "val"), ("test", "test"))}
    dataset = load_folders(tmp_path / "train", [tmp_path / "pile" / "images"], **parts)
    return prepare_tiny(tmp_path / "work", dataset).folder


@pytest.fixture
def training(work: Path, run: Command):
    """training(options) -> what `dvcl selftrain` says."""

    def training(*options: str, code: int = 0) -> str:
        found, out, err = run(
            "selftrain", work, "--method=supervised", "--device=cpu", *SETTINGS, *options
        )
        assert found == code, err
        return " ".join((out + err).split())

    return training


def times(folder: Path) -> dict[Path, int]:
    names = ("run.json", "last.safetensors", "case.json", "sheet.csv", "pseudo-labels.json")
    return {path: path.stat().st_mtime_ns for name in names for path in folder.rglob(name)}


def test_accepted_masks_are_labels_of_the_next_run_and_said_to_be(
    training, work: Path, run: Command
) -> None:
    told = training("--dice=0.05")
    first, folder = open_run(work / RUN), work / ROUND.format(1)
    second, study = open_run(folder / RUN), open_project(folder)
    pseudo = {*second.pseudo_labelled}
    assert pseudo
    assert pseudo <= {"u0", "u1", "u2"}
    assert {*second.split.labelled} == {*first.split.labelled} | pseudo
    assert {*second.split.unlabelled} == {*first.split.unlabelled} - pseudo
    assert second.split.validation == first.split.validation
    assert second.split.test == first.split.test
    assert {case.id for case in study.dataset.cases if case.pseudo_label} == pseudo
    assert (second.recipe.training, first.pseudo_labelled) == (first.recipe.training, ())
    assert f"with {3 + len(pseudo)} labels, {len(pseudo)} of them pseudo-labels" in told
    assert "did it help?" in told
    assert "Doubt:" not in told, "they are in the page"
    record = json.loads((folder / "pseudo-labels.json").read_text())
    assert {Path(one["scan"]).name.removesuffix(".nii.gz") for one in record["scans"]} == pseudo
    for words in (("card", folder / RUN), ("evaluate", folder / RUN), ("report", folder)):
        code, _, err = run(*words)
        assert code == 0, err
    assert f"of {len(pseudo)} of these scans are pseudo" in (
        folder / RUN / "model-card.md"
    ).read_text().replace("\n", " ")
    page = (folder / "report" / "index.html").read_text()
    assert f"{len(pseudo)} of {3 + len(pseudo)} labels predicted" in page


def test_what_is_done_is_not_repeated(training, work: Path) -> None:
    training("--dice=0.05")
    before = times(work)
    training("--dice=0.05")
    assert times(work) == before
    told = training("--dice=0.06", code=2)
    assert "dice: 0.05 there, 0.06 asked for" in told
    assert times(work) == before


def test_a_round_that_was_stopped_goes_on(
    training, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("dvcl.commands.self_training.prepare", stop)
        training("--dice=0.05", code=130)
    assert not (work / ROUND.format(1) / "project.json").exists()
    masks = {path: path.stat().st_mtime_ns for path in work.rglob("masks/u*.nii.gz")}
    assert masks
    training("--dice=0.05")
    assert masks == {path: path.stat().st_mtime_ns for path in masks}
    assert open_run(work / ROUND.format(1) / RUN).pseudo_labelled


def accept_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvcl.commands.sheet.judge", lambda *given: "accept")


def test_a_training_of_a_round_that_was_stopped_goes_on_exactly(
    training, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_all(monkeypatch)
    training()
    run = work / ROUND.format(1) / RUN
    trained, before = weights_hash(run / "last.safetensors"), times(work)
    shutil.rmtree(run)

    def stopped(*given: object) -> Sampler:
        sampler = make_sampler(*given)  # type: ignore[arg-type]
        batches, choose = itertools.count(1), sampler.choose

        def chosen(*progress: object) -> Chosen:
            if next(batches) == 7:
                signal.raise_signal(signal.SIGTERM)
            return choose(*progress)  # type: ignore[arg-type]

        sampler.choose = chosen  # type: ignore[method-assign]
        return sampler

    with monkeypatch.context() as patched:
        patched.setattr("dvcl.commands.train.make_sampler", stopped)
        assert "after iteration 7" in training(code=143)
    training()
    assert weights_hash(run / "last.safetensors") == trained
    others = {path: time for path, time in before.items() if not path.is_relative_to(run)}
    assert others.items() <= times(work).items()


def test_all_masks_may_be_accepted_but_not_where_the_method_needs_scans_without(
    training, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_all(monkeypatch)
    told = training("--method=mean_teacher")
    assert "Round 1 is not trained. All 3 masks are accepted, and mean_teacher needs" in told
    assert "a higher --dice" in told
    assert not [*work.rglob("round-1/project.json")]
    assert "with 6 labels, 3 of them pseudo-labels" in training("--rounds=2")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("{", "pseudo-labels.json: "),
        ("{}", "pseudo-labels.json: is not as this program writes it"),
        ('{"weights": ["a"], "limits": {"wanted": "0.8"}}', "limits.wanted: '0.8' found"),
        (None, "pseudo-labels.json: no such file"),
        ('{"weights": ["a"], "limits": {"wanted": 0.8}}', "this round was made otherwise"),
    ],
)
def test_a_round_whose_record_is_damaged_or_of_other_weights_is_refused(
    training, work: Path, monkeypatch: pytest.MonkeyPatch, damage: str | None, told: str
) -> None:
    accept_all(monkeypatch)
    training()
    record, before = work / ROUND.format(1) / "pseudo-labels.json", times(work)
    record.unlink()
    if damage:
        record.write_text(damage)
    said = training(code=2)
    assert told in said
    assert "elete" in said
    assert {**times(work), record: before[record]} == before


def test_rounds_end_where_nothing_is_accepted_or_left(training, work: Path) -> None:
    told = training("--dice=1", "--rounds=2")
    assert "Round 1 is not trained. None of 3 masks is accepted." in told
    assert "0 of 3 validation cases reach a mean Dice of 1.00, none of them" in told
    assert "round-1/sheet.html in a browser" in told.replace("- ", "-")
    assert "did it help?" not in told
    assert not (work / ROUND.format(1) / "project.json").exists()
    told = training("--dice=0", "--rounds=9")
    assert "is not trained." in told
    last = open_run(sorted(work.glob(f"selftrain/**/{RUN}"))[-1])
    assert ("no unlabelled scan left" in told) == (not last.split.unlabelled)
