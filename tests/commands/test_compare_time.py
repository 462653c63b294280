"""`dvcl compare --equal time`: every method trains as long as supervised training."""

import pytest
import torch

from dvcl.commands.compare import compare_studies
from dvcl.commands.compare_options import Options
from dvcl.commands.compare_time import with_equal_time
from dvcl.commands.pilot import STEPS, step_seconds
from dvcl.commands.train import make_run
from dvcl.datasets.phantom import make_phantom
from dvcl.splits import make_split
from dvcl.studies.project import Project, open_project, prepare
from dvcl.training.journal import last_iteration

TINY = (
    "preprocessing.spacing_mm=[12.0, 10.0, 10.0]", "sampling.patch=[16, 16, 16]",
    "sampling.labelled=1", "sampling.unlabelled=1", "network.levels=3", "network.base_channels=4",
    "training.iterations=8", "training.validate_every=4", "training.precision=float32",
    "window.size=[16, 32, 32]", "window.stride=[16, 32, 32]",
)  # fmt: skip
STEP_S = {"supervised": 0.1, "cps": 0.4}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("study")
    dataset = make_phantom(folder / "scans", 2, 3, 1, 2, spacing_mm=(12.0, 10.0, 10.0))
    prepare(folder / "work", dataset, "small-ct", changes=TINY, workers=1)
    return open_project(folder / "work")


def test_a_method_with_dear_steps_makes_fewer(project, monkeypatch):
    measured = []

    def pretend(run, *_):
        measured.append(run.method)
        return STEP_S[run.method]

    monkeypatch.setattr("dvcl.commands.compare_time.step_seconds", pretend)
    options = Options("supervised,cps", [0], equal="time", name="timed", device="cpu")
    told = compare_studies([project.folder], options, dry=True).note
    assert "work: timed, equal time, cps, seed 0 (2 steps)" in told
    assert compare_studies([project.folder], options).failed == {}
    assert measured == list(STEP_S), "once, and kept"
    wider = Options(
        "supervised", [0], equal="time", name="timed", device="cpu",
        changes=("network.base_channels=2", "training.iterations=6"),
    )  # fmt: skip
    comparison = project.folder / "comparisons" / "timed"
    with_equal_time(wider.plan([project.folder], "timed"), wider, comparison, ())
    assert measured.pop() == "supervised", "a step of another network is measured"
    assert measured == list(STEP_S)
    for method, steps in (("supervised", 8), ("cps", 2)):
        folder = project.folder / "runs" / "timed_equal-time" / method / "seed-0"
        assert last_iteration(folder / "journal.jsonl") == steps
    page = project.folder / "comparisons" / "timed" / "index.html"
    assert "2 of 2 runs are finished and shown" in page.read_text(encoding="utf-8")
    # What is recorded keeps its schedule, whatever would be measured now.
    page.with_name("equal_time.json").unlink()
    told = compare_studies([project.folder], options, dry=True).note
    assert "2 of 2 runs are finished" in told
    assert measured == list(STEP_S)


def test_a_step_is_measured_by_a_run_of_which_nothing_stays(project):
    recipe = project.load_recipe(None, ("training.unlabelled_from=0.5",))
    run = make_run(project, recipe, "cps", make_split(project.dataset))
    told = []
    seconds = step_seconds(
        run, project.store(recipe), torch.device("cpu"), lambda done, of: told.append((done, of))
    )
    assert 0 < seconds < 10
    assert told[-1] == (STEPS, STEPS)
    assert not run.folder.exists()
