"""`dvcl card`: a card says what the run knows, leaves the rest to people, and names no case."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.card_claim import BY_YOU, TOPICS
from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import make_split
from dvcl.volume import Volume, write_volume

Command = Callable[..., tuple[int, str, str]]

AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])
PATIENTS = ("smith", "jones", "brown", "green", "adams", "baker")


def write_case(folder: Path, number: int, name: str) -> None:
    array = np.full((16, 16, 16), -1000, np.int16)
    noise = np.random.default_rng([*name.encode()]).integers(0, 40, (12, 12, 12))
    array[2:14, 2:14, 2:14] = noise
    label = np.zeros((16, 16, 16), np.uint8)
    label[4:10, 4:10, 4 : 9 + number] = 1
    write_volume(folder / "images" / f"{name}.nii.gz", Volume(array, AFFINE))
    write_volume(folder / "labels" / f"{name}.nii.gz", Volume(label, AFFINE))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Path:
    folder = tmp_path_factory.mktemp("card")
    for number, name in enumerate(PATIENTS):
        write_case(folder / ("train" if number < 3 else "test"), number % 3, name)
    dataset = load_folders(folder / "train", test=folder / "test")
    project = prepare_tiny(folder / "work", dataset)
    split = make_split(dataset)
    return train_run(project, project.load_recipe(), "supervised", split, device="cpu").folder


def written(run: Command, folder: Path) -> str:
    code, said, err = run("card", folder)
    assert code == 0, err
    assert "model-card.html" in said
    page = (folder / "model-card.html").read_text()
    assert "Intended use" in page
    return (folder / "model-card.md").read_text()


def test_a_card_without_and_with_scores(trained: Path, run: Command) -> None:
    card = written(run, trained)
    assert "There are none of these weights" in card
    assert "Not looked for" in card
    assert re.search(r"\| labelled +\| trained on with their labels +\| +\d \|", card)
    assert "label 1 " in card
    assert "the field of view along the body, mm" in card
    assert re.search(r"SHA-256 [0-9a-f]{64}", card)

    code, _, err = run("evaluate", trained, "--device=cpu")
    assert code == 0, err
    card = written(run, trained)
    assert "Of 3 test scans." in card
    assert re.search(r"\| label 1 +\| +[\d.]+ \| +[\d.]+ to [\d.]+ \|", card)
    assert "3 scored scans are too few to show rare failures." in card
    for number in TOPICS:
        assert re.search(rf"^\| {number} ", card, re.MULTILINE)
    assert re.search(rf"^\| 42 +\| Funding +\| {BY_YOU}", card, re.MULTILINE)


def test_a_card_names_no_patient_and_no_folder(trained: Path, run: Command) -> None:
    for text in (written(run, trained), (trained / "model-card.html").read_text()):
        assert not [name for name in PATIENTS if name in text]
        assert str(trained.parents[3]) not in text


def test_a_run_without_weights_has_no_card(trained: Path, run: Command, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((trained / "run.json").read_bytes())
    code, _, err = run("card", tmp_path)
    assert code == 2
    assert "has no weights (best.safetensors) yet" in err
