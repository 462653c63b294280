"""What is doubtful about a recipe is said before a training, not seen in its scores."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from dvcl.commands.compare import compare_studies
from dvcl.commands.compare_options import Options
from dvcl.commands.console import console
from dvcl.commands.fit import doubts_of_fit
from dvcl.commands.run_doubts import doubts_of_runs
from dvcl.commands.train import train_run
from dvcl.commands.twin import train_and_tell
from dvcl.datasets.phantom import make_phantom
from dvcl.recipe import load_recipe
from dvcl.splits import make_split
from dvcl.studies.project import Project
from dvcl.studies.run import open_run

RECIPES = sorted(path.stem for path in (Path(__file__).parents[2] / "recipes").glob("*.toml"))
SMALL = ("sampling.patch=[16, 32, 16]", "training.warmup=0")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Project:
    """Whose windows have 16 x 16 x 16 voxels, as its patches."""
    folder = tmp_path_factory.mktemp("fit")
    dataset = make_phantom(folder / "scans", 2, 2, 1, 1, spacing_mm=(20.0, 20.0, 20.0))
    return prepare_tiny(folder / "work", dataset)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_here_are_not_doubted(name: str) -> None:
    assert not doubts_of_fit(load_recipe(name))


def test_a_window_smaller_than_the_patch_is_told_with_what_mends_it() -> None:
    recipe = load_recipe("small-ct", ("sampling.patch=[48, 96, 48]", "window.size=[32, 48, 48]"))
    (doubt,) = doubts_of_fit(recipe)
    assert "window.size: [32, 48, 48] found, less than the patches of [48, 96, 48] voxels" in doubt
    remedy = doubt.partition("Better: ")[2]
    # As a shell takes it: brackets stand for files there.
    assert remedy == "--set 'window.size=[48,96,48]' --set 'window.stride=[24,48,24]'"
    given = tuple(word for word in shlex.split(remedy) if word != "--set")
    assert not doubts_of_fit(load_recipe("small-ct", ("sampling.patch=[48, 96, 48]", *given)))


def test_a_window_far_larger_than_the_patch_is_told_with_what_mends_it() -> None:
    assert not doubts_of_fit(load_recipe("small-ct", ("window.size=[32, 40, 40]",)))
    (doubt,) = doubts_of_fit(load_recipe("small-ct", ("window.size=[32, 48, 40]",)))
    assert "window.size: [32, 48, 40] found, far more than the patches of [32, 32, 32]" in doubt
    assert doubt.endswith("--set 'window.size=[32,32,40]' --set 'window.stride=[16,16,20]'")


@pytest.mark.parametrize(
    ("steps", "warmup", "better"), [(30, 50, 6), (50, 50, 10), (51, 50, None), (1, 1, None)]
)
def test_a_warm_up_that_outlasts_the_training_is_told(
    steps: int, warmup: int, better: int | None
) -> None:
    changes = (f"training.iterations={steps}", f"training.warmup={warmup}")
    doubts = doubts_of_fit(load_recipe("small-mr", changes))
    told = f"training.warmup: {warmup} found, of a training of {steps} steps"
    assert [told in doubt for doubt in doubts] == [True] * (better is not None)
    if better is not None:
        assert doubts[0].endswith(f"Better: --set training.warmup={better}")


def test_the_doubt_is_told_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    console.begin()
    compare_studies([project.folder], Options("supervised,cps", [0, 1], changes=SMALL), dry=True)
    monkeypatch.setattr(
        "dvcl.commands.twin.train_run", lambda *_, **__: SimpleNamespace(folder=Path())
    )
    recipe, split = project.load_recipe(None, SMALL), make_split(project.dataset)
    train_and_tell(project, recipe, "supervised", split, twin=False)
    assert [line.partition(":")[0] for line in console.warned] == ["window.size"] * 2


def test_masks_of_small_windows_are_doubted_by_all_that_makes_them(
    project: Project, run, tmp_path: Path
) -> None:
    recipe, split = project.load_recipe(None, SMALL), make_split(project.dataset)
    folder = train_run(project, recipe, "supervised", split, device="cpu").folder
    usual = train_run(
        project, project.load_recipe(), "supervised", split, name="usual", device="cpu"
    )
    assert not doubts_of_runs([usual])
    scans = project.folder.parent / "scans" / "unlabelled"
    for words in (
        ("predict", folder, scans, "--out", tmp_path / "masks", "--no-pictures", "--trust"),
        ("evaluate", folder),
        ("next", folder, "--unlabelled", scans, "-n1", "--out", tmp_path / "next"),
        ("sheet", folder, "--unlabelled", scans, "--out", tmp_path / "sheet"),
    ):  # fmt: skip
        code, out, err = run(*words, "--device=cpu")
        assert code == 0, err
        assert (out + err).count("window.size: [16, 16, 16] found, less than the patches") == 1
        again = "train again, under another --name, with --set 'window.size=[16,32,16]' --set"
        assert again in out + err
    two = [replace(open_run(folder), folder=name) for name in (Path("a"), Path("b"))]
    (doubt,) = doubts_of_runs(two)
    assert doubt.startswith("a: window.size")
