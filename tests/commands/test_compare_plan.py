"""Planning many runs opens every case once and reads the recipe once, however many there are."""

from collections import Counter

import pytest
import torch

from dvcl.commands.compare import compare_studies
from dvcl.commands.compare_options import Options
from dvcl.commands.train import make_run
from dvcl.datasets.dataset import Dataset
from dvcl.datasets.phantom import make_phantom
from dvcl.errors import InputError
from dvcl.recipe import files
from dvcl.store.reading import StoredCase
from dvcl.studies.divide import divide
from dvcl.studies.project import open_project


@pytest.fixture(scope="module")
def study(tmp_path_factory, prepare_tiny):
    folder = tmp_path_factory.mktemp("study")
    dataset = make_phantom(folder / "scans", 3, 2, 1, 2, spacing_mm=(20.0, 20.0, 20.0))
    return prepare_tiny(folder / "work", dataset).folder


@pytest.fixture
def counted(monkeypatch):
    """counted(study, options) -> its plan in words, and how often cases and recipes were read."""
    counts: Counter[str] = Counter()
    opened, parsed, described = StoredCase.__init__, files.parse_recipe, Dataset.from_json

    def opening(case, folder, classes):
        counts[folder.name] += 1
        opened(case, folder, classes)

    def parsing(*arguments):
        counts["recipes"] += 1
        return parsed(*arguments)

    def describing(value):
        counts["data sets"] += 1
        return described(value)

    monkeypatch.setattr(StoredCase, "__init__", opening)
    monkeypatch.setattr(files, "parse_recipe", parsing)
    monkeypatch.setattr(Dataset, "from_json", describing)

    def plan(study, options):
        counts.clear()
        return compare_studies([study], options, dry=True).note, dict(counts)

    return plan


def test_many_runs_read_what_one_reads(study, counted):
    _, one = counted(study, Options("supervised", [0]))
    told, many = counted(study, Options("supervised,cps", [0, 1, 2], [1, 2]))
    assert told.count("to do:") == 12
    assert many == one
    assert {times for name, times in many.items() if name.startswith("phantom")} == {1}


def test_runs_stand_in_the_order_of_the_plan(study, counted):
    told, _ = counted(study, Options("supervised,cps", [1, 0]))
    planned = [line.split(",")[-2:] for line in told.splitlines() if line.startswith("to do:")]
    assert [f"{method.strip()} {seed.split()[1]}" for method, seed in planned] == [
        "supervised 1", "cps 1", "supervised 0", "cps 0",
    ]  # fmt: skip


def test_everything_that_would_stop_a_run_is_told(study):
    damaged = [study / "runs" / "small-ct" / "supervised" / f"seed-{seed}" for seed in (3, 4)]
    for folder in damaged:
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{")
    with pytest.raises(InputError) as caught:
        compare_studies([study], Options("supervised", [3, 4]), dry=True)
    assert [str(folder) in "".join(caught.value.problems) for folder in damaged] == [True, True]


def test_a_run_with_other_settings_is_named_with_what_to_do(study):
    project = open_project(study)
    recipe = project.load_recipe(None, ["training.iterations=7"])
    run = make_run(project, recipe, "cps", divide(project, recipe), seed=5)
    run.save(torch.device("cpu"))
    with pytest.raises(InputError) as caught:
        compare_studies([study], Options("cps", [5]), dry=True)
    (problem,) = caught.value.problems
    assert str(run.folder) in problem
    assert "another --name" in problem
    assert "iterations: 7 there" in problem


def test_blanks_between_methods_are_no_part_of_their_names():
    assert Options("cps, dvcl", (0,)).method_names() == ["cps", "dvcl"]
    assert len(Options(" all ", (0,)).method_names()) > 15
