"""Runs that begin with the weights of another one."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dvcl.commands.train import make_run
from dvcl.studies.divide import divide
from dvcl.studies.project import open_project
from dvcl.studies.run import open_run
from dvcl.studies.start import begin
from dvcl.training.checkpoint import weights_hash

HEAD = "network.segmentation_head.weight"


def runs(work: Path, name: str, method: str = "supervised") -> Path:
    return work / "runs" / name / method / "seed-0"


@pytest.fixture
def other(study: Path, train, prepare, scan) -> Path:
    """A second study, whose organs are liver and spleen, with the donor of the first one."""
    train(study / "work", "--name=donor", "--seed=0")
    for id in "cd":
        scan(study / "more", id, "liver spleen")
    (study / "others.json").write_text('{"2": "liver", "3": "spleen"}')
    prepare(study / "other", "--labelled", study / "more", "--labels", study / "others.json")
    return study / "other"


def test_weights_of_another_study_are_taken_by_the_names_of_organs(
    study: Path, other: Path, train
) -> None:
    donor = runs(study / "work", "donor")
    said = train(other, "--from", donor, "--name=begun")
    assert f"Taken from {donor}:" in said
    assert "with the head's rows of liver; new organs: spleen." in said
    record = json.loads((runs(other, "begun") / "run.json").read_text())
    assert record["start"]["run"] == str(donor)
    assert record["start"]["weights"] == weights_hash(donor / "best.safetensors")
    assert "new organs: spleen" in record["start"]["taken"]
    assert record["settings"]["start"] == record["start"]["weights"]
    project = open_project(other)
    recipe = project.load_recipe()
    made = make_run(project, recipe, "supervised", divide(project, recipe), name="x", source=donor)
    method = made.build_method()
    begin(made, method, project.store(recipe))
    head, taken = method.network.segmentation_head.weight, load_file(donor / "best.safetensors")
    assert torch.equal(head[1], taken[f"method/{HEAD}"][2])
    assert torch.equal(head[0], taken[f"method/{HEAD}"][0])


def test_a_run_so_begun_is_made_again_and_resumed_bit_for_bit_without_the_donor(
    study: Path, other: Path, train
) -> None:
    donor = runs(study / "work", "donor")
    for name in ("one", "two"):
        train(other, "--from", donor, f"--name={name}", "--set=training.precision=float32")
    one, two = (runs(other, name) for name in ("one", "two"))
    assert (one / "last.safetensors").read_bytes() == (two / "last.safetensors").read_bytes()
    shutil.rmtree(donor)
    said = train(other, "--from", donor, "--name=one", "--set=training.precision=float32")
    assert "Taken from" not in said
    assert open_run(one).start["run"] == str(donor)
    assert "no such run" not in train(other, "--name=one", code=2)


def test_the_other_run_may_be_named_in_short(study: Path, other: Path, train) -> None:
    train(study / "work", "--name=second")
    train(other, "--from", study / "work" / "donor", "--name=short")
    assert open_run(runs(other, "short")).start["run"] == str(runs(study / "work", "donor"))
    shutil.rmtree(runs(study / "work", "donor"))
    train(other, "--from", study / "work" / "donor", "--name=short")
    assert "fits none" in train(other, "--from", study / "work" / "donor", "--name=new", code=2)
    said = train(other, "--from", other / "short", "--name=short", code=2)
    assert "is the run that is to be trained" in said


def test_a_donor_is_found_where_its_study_was_renamed_or_copied(
    study: Path, train, tmp_path: Path
) -> None:
    """By the run that began with it, and by one that is to begin with that one."""
    work, name = study / "work", "--name=begun"
    train(work, "--name=donor")
    train(work, "--from", work / "donor", name)
    shutil.copytree(work, study / "copy")
    copy, new = study / "copy", study / "new"
    assert open_run(runs(copy, "begun")).start["run"] == str(runs(copy, "donor"))
    work.rename(new)
    begun = runs(new, "begun")
    assert open_run(begun).start["run"] == str(runs(new, "donor"))
    assert "nobody can say" not in train(new, "--from", begun, "--name=last")
    # The run has begun, and no longer needs the donor, as in a study that was not renamed.
    shutil.rmtree(runs(new, "donor"))
    assert "Finished before" in train(new, "--from", new / "donor", name)
    assert "nobody can say" in train(new, "--from", begun, "--name=later")


def test_what_does_not_fit_is_refused(study: Path, other: Path, train) -> None:
    donor = runs(study / "work", "donor")
    said = train(other, "--from", donor, "--set=network.base_channels=4", code=2)
    assert "network.base_channels: 2 there, 4 asked for" in said
    assert "its networks are others" in said
    assert "not a run" in train(other, "--from", study / "few", code=2)
    said = train(study / "work", "--from", donor, "--name=donor", code=2)
    assert "is the run that is to be trained" in said
    said = train(other, "--name=plain") + train(other, "--name=plain", "--from", donor, code=2)
    assert "start: None there" in said


def test_weights_that_have_learned_from_a_test_scan_are_refused(
    study: Path, other: Path, train, tmp_path: Path
) -> None:
    donor = runs(study / "work", "donor")
    split = {"labelled": ["b"], "unlabelled": [], "validation": ["v"], "test": ["a"], "seed": 0}
    (tmp_path / "split.json").write_text(json.dumps(split))
    words = ("--from", donor, "--split", tmp_path / "split.json", "--name=leak")
    said = train(study / "work", *words, code=2)
    assert f"a (test) and a of {donor} (learned from): the same voxels" in said
    assert "Allowed overlap" in train(study / "work", *words, "--allow-overlap")
    # What the donor of a donor has seen counts too.
    train(other, "--from", donor, "--name=middle")
    words = ("--from", runs(other, "middle"), "--split", tmp_path / "split.json", "--name=leak2")
    assert f"a of {donor} (learned from): the same voxels" in train(study / "work", *words, code=2)
    shutil.rmtree(donor)
    said = train(study / "work", *words)
    assert "nobody can say whether" in said


def test_the_donor_may_not_change_before_the_first_state_is_saved(
    study: Path, other: Path, train
) -> None:
    donor = runs(study / "work", "donor")
    train(other, "--from", donor, "--name=begun")
    (runs(other, "begun") / "last.safetensors").unlink()
    shutil.copy(runs(other, "begun") / "best.safetensors", donor / "best.safetensors")
    said = train(other, "--from", donor, "--name=begun", code=2)
    assert "holds a run with other settings" in said
    assert "start: " in said
