"""Organs that a study gets later: old cases are not annotated in them."""

from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets.addition import with_new_organs
from dvcl.datasets.dataset import Case
from dvcl.studies.project import open_project


@pytest.fixture
def grown(study: Path, scan, dvcl) -> Path:
    """The study with c, whose label map shows the spleen too."""
    scan(study / "more", "c", "aorta liver spleen")
    (study / "more" / "labels.json").write_text('{"1": "aorta", "2": "liver", "3": "spleen"}')
    said = dvcl("prepare", study / "work", "--workers=1", "--add", study / "more")
    assert "New organs: spleen. Nobody has drawn them in 4 cases (a, b, v, t)" in said
    return study


def test_old_cases_are_unannotated_in_a_new_organ_and_their_arrays_stay(grown: Path) -> None:
    project = open_project(grown / "work")
    assert project.dataset.labels.names == ("background", "aorta", "liver", "spleen")
    store, old = project.store(project.load_recipe()), open_project(grown / "work", 1)
    assert store.case("a").annotated.tolist() == [True, True, True, False]
    assert store.case("c").annotated is None
    before = old.store(old.load_recipe())
    for name in ("image.npy", "label.npy", "organ_voxels.npy"):
        assert (store.folder / "a" / name).samefile(before.folder / "a" / name)
    assert before.case("a").annotated is None
    assert set(np.unique(store.case("c").organ_voxels[:, 0])) == {1, 2, 3}


def test_methods_that_take_partial_labels_train_and_the_others_say_why_not(
    grown: Path, train, dvcl
) -> None:
    train(grown / "work", "--name=before", "--edition=1")
    donor = grown / "work/runs/before/supervised/seed-0"
    said = train(grown / "work", "--from", donor)
    assert "with the head's rows of aorta, liver; new organs: spleen" in said
    run = grown / "work/runs/small-ct-edition-2-fine-tuned/supervised/seed-0"
    assert "spleen" in dvcl("evaluate", run, "--device=cpu")
    said = train(grown / "work", method="dvcl", code=2)
    assert "method dvcl: 2 of 3 labelled cases lack organs, the first a" in said


def test_an_old_folder_of_masks_may_have_the_new_organ(tmp_path: Path, scan) -> None:
    masks = tmp_path / "labels" / "m"
    masks.mkdir(parents=True)
    for organ in ("liver", "spleen"):
        scan(tmp_path / "made", organ, None).rename(masks / f"{organ}.nii.gz")
    case = Case("m", tmp_path / "m.nii.gz", masks, "labelled")
    assert with_new_organs(case, ["spleen", "kidney"]).unannotated == ("kidney",)
    alone = Case("n", tmp_path / "n.nii.gz", None, "unlabelled")
    assert with_new_organs(alone, ["spleen"]) == alone


def test_an_organ_without_a_file_that_names_it_is_no_organ(study: Path, scan, dvcl) -> None:
    scan(study / "more", "c", "spleen")
    said = dvcl("prepare", study / "work", "--workers=1", "--add", study / "more", code=2)
    assert "label values 3" in said


def test_added_cases_may_lack_old_organs_where_that_is_asked_for(study: Path, scan, dvcl) -> None:
    scan(study / "more", "c", "spleen")
    (study / "spleen.json").write_text('{"spleen": 3}')
    words = ("prepare", study / "work", "--workers=1", "--add", study / "more", "--labels",
             study / "spleen.json")  # fmt: skip
    assert "has no aorta, liver, which other cases" in dvcl(*words, code=2)
    dvcl(*words, "--partial")
    case = next(c for c in open_project(study / "work").dataset.cases if c.id == "c")
    assert case.unannotated == ("aorta", "liver")
