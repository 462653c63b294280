"""What a training run holds in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvcl import resources
from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import make_split
from dvcl.store import StoredCase
from dvcl.studies.project import Project
from dvcl.volume import Volume, write_volume


@pytest.fixture
def project(tmp_path: Path, prepare_tiny) -> Project:
    random, affine = np.random.default_rng(0), np.diag([-4.0, -4.0, 4.0, 1.0])
    for id in ("few/images/a", "few/labels/a", "many/u"):
        highest = 2 if "labels" in id else 200
        voxels = random.integers(0, highest, (16, 16, 16)).astype(np.int16)
        write_volume(tmp_path / f"{id}.nii.gz", Volume(voxels, affine))
    dataset = load_folders(tmp_path / "few", [tmp_path / "many"])
    return prepare_tiny(tmp_path / "work", dataset)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cases that were read into memory, in the order of reading."""
    ids: list[str] = []
    monkeypatch.setattr(StoredCase, "preload", lambda case, label: ids.append(case.id))
    return ids


def train(project: Project, method: str) -> None:
    train_run(project, project.load_recipe(), method, make_split(project.dataset), device="cpu")


def test_what_a_method_draws_from_is_held(project: Project, held: list[str]) -> None:
    train(project, "supervised")
    assert held == ["a"]
    train(project, "mean_teacher")
    assert held == ["a", "a", "u"]


def test_nothing_is_held_that_a_container_has_no_room_for(
    project: Project, held: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(resources, "CGROUP_LIMITS", (str(limit),))
    limit.write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("999999000\n")
    train(project, "mean_teacher")
    assert held == []
