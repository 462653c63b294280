"""Where a twin makes no sense."""

from pathlib import Path

import pytest

from dvcl.commands.train import train_run
from dvcl.commands.twin import check_twin, train_and_tell
from dvcl.datasets.phantom import make_phantom
from dvcl.errors import InputError
from dvcl.splits import make_split
from dvcl.studies.project import open_project, prepare

TINY = (
    "preprocessing.spacing_mm=[12.0, 10.0, 10.0]", "sampling.patch=[16, 16, 16]",
    "network.levels=3", "network.base_channels=4", "window.size=[16, 32, 32]",
    "window.stride=[16, 32, 32]",
)  # fmt: skip


def test_a_twin_needs_a_method_that_uses_unlabelled_scans() -> None:
    check_twin("dvcl")
    with pytest.raises(InputError, match="supervised learns from labelled scans alone"):
        check_twin("supervised")


def test_a_twin_needs_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(InputError, match=r"--twin: 2 processes found.*dvcl compare --twin"):
        check_twin("dvcl")


def test_nothing_is_trained_where_a_twins_folder_holds_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("training.iterations=2", "training.validate_every=2", *TINY)
    dataset = make_phantom(tmp_path / "scans", 2, 2, 1, 1, spacing_mm=(12.0, 10.0, 10.0))
    prepare(tmp_path / "work", dataset, "small-ct", changes=changes, workers=1)
    project = open_project(tmp_path / "work")
    recipe, split = project.load_recipe(), make_split(dataset)
    train_run(project, recipe, "supervised", split, device="cpu")
    longer = project.load_recipe(None, ("training.iterations=4",))
    monkeypatch.setattr("dvcl.commands.twin.train_run", None)
    with pytest.raises(InputError, match=r"(?s)--twin: nothing was trained.*2 there, 4 asked"):
        train_and_tell(project, longer, "cps", split, twin=True, seed=0, name=None, device="cpu")
