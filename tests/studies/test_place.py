"""Where a study is, and what lies in it, also after it was renamed or copied."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import make_split
from dvcl.store import open_store
from dvcl.studies.place import study_around
from dvcl.studies.run import Run, open_run
from dvcl.volume import Volume, write_volume


def test_a_study_is_found_from_within(tmp_path: Path) -> None:
    (tmp_path / "project.json").touch()
    assert study_around(tmp_path / "runs" / "new" / "seed-0") == tmp_path
    assert study_around(tmp_path.parent) is None


@pytest.mark.parametrize(
    ("here", "named", "study"),
    [
        (".", "work/runs/n/dvcl/seed-0", "work"),
        ("work", "runs/n/dvcl/seed-0", "."),
        ("work/runs", "../runs/n/dvcl/seed-0", ".."),
        ("work/runs/n/dvcl", "seed-0", None),
    ],
)
def test_the_study_of_a_run_is_named_as_the_run_is(
    here: str, named: str, study: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work/runs/n/dvcl/seed-0").mkdir(parents=True)
    (tmp_path / "work/project.json").touch()
    monkeypatch.chdir(tmp_path / here)
    run = SimpleNamespace(folder=Path(named))
    # Where the name is too short, only the whole path tells.
    assert Run.study(run, "") == (tmp_path / "work" if study is None else Path(study))


def test_a_run_keeps_its_prepared_cases_where_its_study_is_renamed_or_copied(
    tmp_path: Path, prepare_tiny
) -> None:
    """Without them nobody protects its label maps, counts how calibrated it is, or finds leaks."""
    random, affine = np.random.default_rng(0), np.diag([-4.0, -4.0, 4.0, 1.0])
    for name in "ab":
        for kind, highest in (("images", 200), ("labels", 2)):
            voxels = random.integers(0, highest, (16, 16, 16)).astype(np.int16)
            write_volume(tmp_path / "few" / kind / f"{name}.nii.gz", Volume(voxels, affine))
    project = prepare_tiny(tmp_path / "work", load_folders(tmp_path / "few"))
    split = make_split(project.dataset)
    run = train_run(project, project.load_recipe(), "supervised", split, device="cpu")
    within = run.folder.relative_to(project.folder)
    copy, renamed = tmp_path / "copy", tmp_path / "renamed"
    shutil.copytree(project.folder, copy)
    assert open_run(copy / within).store.parent == copy / "store"
    project.folder.rename(renamed)
    opened = open_run(renamed / within)
    assert open_store(opened.store).ids == ("a", "b")
    shutil.copytree(renamed / within, tmp_path / "alone")
    assert open_run(tmp_path / "alone").store == run.store.absolute(), "where it was at the start"
