"""`dvcl prepare WORK --add`: more scans and labels, while everything that was there stays."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.files import sha256_of_bytes
from dvcl.store import writing
from dvcl.studies import scored
from dvcl.studies.divide import divide
from dvcl.studies.project import Project, open_project
from dvcl.studies.run import open_run
from dvcl.training import engine
from dvcl.training.checkpoint import saved_facts

Add = Callable[..., str]


@pytest.fixture
def add(study: Path, dvcl) -> Add:
    """add(*folders and words) -> what `dvcl prepare work --add` says."""

    def call(*words: object, code: int = 0) -> str:
        folders = (part for word in words if isinstance(word, Path) for part in ("--add", word))
        others = [word for word in words if not isinstance(word, Path)]
        return dvcl("prepare", study / "work", "--workers=1", *folders, *others, code=code)

    return call


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that were prepared since."""
    names: list[str] = []
    write_image = writing._write_image

    def watched(task, folder):
        names.append(task.case.id)
        return write_image(task, folder)

    monkeypatch.setattr(writing, "_write_image", watched)
    return names


def roles(project: Project) -> dict[str, str | None]:
    return {case.id: case.role for case in project.dataset.cases}


def content(folder: Path) -> dict[str, str]:
    """Of all that a study is, apart from its locks and the records of commands."""
    return {
        str(path.relative_to(folder)): sha256_of_bytes(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.startswith((".lock", "lock.json"))
        and path.parent.name != "log"
    }


def test_new_scans_are_prepared_and_old_ones_are_not_prepared_again(
    study: Path, add: Add, scan, prepared: list[str]
) -> None:
    for id in "cd":
        scan(study / "more", id)
    scan(study / "pile", "x", None)
    before = content(study / "work")
    old = open_project(study / "work")
    said = add(study / "more", study / "pile")
    assert "3 new: x, c, d." in said
    assert "work is in edition 2 now, with 9 cases" in said
    assert prepared == ["x", "c", "d"]
    project = open_project(study / "work")
    assert project.edition == 2
    assert roles(project) == {
        "a": "labelled", "b": "labelled", "u": "unlabelled", "w": "unlabelled", "v": "validation",
        "t": "test", "x": "unlabelled", "c": "labelled", "d": "labelled",
    }  # fmt: skip
    # What was there is there, byte for byte, but for the study's record, which is kept aside.
    after = content(study / "work")
    assert {key: after[key] for key in before if key != "project.json"} == {
        key: before[key] for key in before if key != "project.json"
    }
    assert after["editions/1.json"] == before["project.json"]
    assert open_project(study / "work", 1) == old
    stores = [p.store(p.load_recipe()) for p in (old, project)]
    paths = [store.folder / "a" / "image.npy" for store in stores]
    assert paths[0].samefile(paths[1])
    for case in stores[1].ids:
        stores[1].case(case).check()


def test_what_is_there_already_makes_no_edition(study: Path, add: Add, scan) -> None:
    before = content(study / "work")
    said = add(study / "few", study / "many")
    assert "4 scans are in the study already, and stay the same" in said
    assert "Nothing new: " in said
    scan(study / "renamed", "other_name", None, seed="a")
    assert "other_name.nii.gz (a)" in add(study / "renamed")
    assert content(study / "work") == before


def test_a_corrected_mask_makes_an_unlabelled_scan_a_labelled_one_by_its_voxels(
    study: Path, add: Add, scan, prepared: list[str]
) -> None:
    scan(study / "correct", "predicted_1", seed="u")
    image = nibabel.load(study / "correct" / "images" / "predicted_1.nii.gz")
    # As another program writes it: turned, and of another type.
    turned = nibabel.as_closest_canonical(image)
    nibabel.save(nibabel.Nifti1Image(turned.get_fdata(dtype=np.float32), turned.affine),
                 study / "correct" / "images" / "predicted_1.nii.gz")  # fmt: skip
    assert "1 labelled now: u." in add(study / "correct")
    assert prepared == []
    project = open_project(study / "work")
    assert roles(project)["u"] == "labelled"
    recipe = project.load_recipe()
    assert divide(project, recipe).labelled == ("a", "b", "u")
    case = project.store(recipe).case("u")
    assert set(np.unique(case.organ_voxels[:, 0])) == {1, 2}
    assert case.source == study / "many" / "u.nii.gz"
    assert "Nothing new" in add(study / "correct")


def test_other_labels_of_a_test_scan_leave_it_what_it_is_for(
    study: Path, add: Add, scan, train, dvcl
) -> None:
    train(study / "work")
    run = open_run(study / "work/runs/small-ct/supervised/seed-0")
    dvcl("evaluate", run.folder, "--device=cpu")
    scan(study / "again", "t", "aorta liver")
    label = study / "again" / "labels" / "t.nii.gz"
    array = np.asarray(nibabel.load(label).dataobj).copy()
    array[:, :, 2] = 0
    nibabel.save(nibabel.Nifti1Image(array, nibabel.load(label).affine), label)
    assert "1 with other labels: t." in add(study / "again")
    project = open_project(study / "work")
    assert roles(project)["t"] == "test"
    # The run is scored on the reference of its own edition, as before.
    assert scored.is_scored(run)
    assert scored.test_cases(run)[0].label == study / "test" / "labels" / "t.nii.gz"
    case = next(case for case in project.dataset.cases if case.id == "t")
    assert case.label == label


def test_runs_of_an_earlier_edition_resume_exactly_and_later_ones_say_what_they_saw(
    study: Path, add: Add, scan, train, dvcl, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, words = (
        study / "work",
        ("--set=training.precision=float32", "--set=training.iterations=4"),
    )
    train(work, "--name=whole", *words)
    half, whole = (work / "runs" / name / "supervised" / "seed-0" for name in ("half", "whole"))
    save = engine.save_state

    def stop_at_three(*states: object, iteration: int, **facts: object) -> None:
        if iteration == 3:
            raise KeyboardInterrupt
        save(*states, iteration=iteration, **facts)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "save_state", stop_at_three)
        train(work, "--name=half", *words, code=130)
        train(work, *words, code=130)
    assert saved_facts(half / "last.safetensors")["iteration"] == 2
    scan(study / "more", "c")
    scan(study / "more", "q", seed="u")
    add(study / "more")
    said = train(work, "--name=whole", *words, code=2)
    assert "edition: 1 there, 2 asked for" in said
    train(work, "--name=whole", "--edition=1", *words)
    train(work, "--name=half", "--edition=1", *words)
    assert (half / "last.safetensors").read_bytes() == (whole / "last.safetensors").read_bytes()
    assert open_run(half).edition == 1
    said = train(work, *words)
    assert "is trained for 2 of 4 steps" in said
    assert "that takes --edition 1" in said
    new = open_run(work / "runs" / "small-ct-edition-2" / "supervised" / "seed-0")
    assert (new.edition, new.split.labelled) == (2, ("a", "b", "c", "u"))
    assert new.data != open_run(whole).data
    record = json.loads((new.folder / "run.json").read_text())
    assert record["settings"]["edition"] == 2
    for run in (whole, new.folder):
        dvcl("evaluate", run, "--device=cpu")
    dvcl("report", work)
    assert (
        "the runs have seen editions 1, 2 of the data" in (work / "report/index.html").read_text()
    )
    assert "has no edition 3; 1 to 2 were expected" in train(work, "--edition=3", code=2)


def another_scan(study: Path, scan) -> list[object]:
    scan(study / "more", "a", seed="another")
    return [study / "more"]


def two_labels(study: Path, scan) -> list[object]:
    scan(study / "more", "one", "aorta liver", seed="u")
    scan(study / "more", "two", "aorta", seed="u")
    return [study / "more"]


def fewer_organs(study: Path, scan) -> list[object]:
    scan(study / "more", "a", "aorta")
    (study / "more" / "labels.json").write_text('{"1": "aorta"}')
    return [study / "more", "--partial"]


def incomplete(study: Path, scan) -> list[object]:
    scan(study / "more", "c", "aorta")
    (study / "more" / "labels.json").write_text('{"1": "aorta"}')
    return [study / "more"]


def other_integers(study: Path, scan) -> list[object]:
    scan(study / "more", "c")
    (study / "more" / "labels.json").write_text('{"2": "aorta", "1": "liver"}')
    return [study / "more"]


def taken_integer(study: Path, scan) -> list[object]:
    scan(study / "more", "c")
    (study / "more" / "labels.json").write_text('{"1": "aorta", "2": "kidney"}')
    return [study / "more", "--partial"]


def unknown_integer(study: Path, scan) -> list[object]:
    scan(study / "more", "c", "aorta liver spleen")
    return [study / "more"]


def two_purposes(study: Path, scan) -> list[object]:
    """A test scan, as a copy with a little noise, among the labelled ones."""
    path = scan(study / "more", "c", seed="t")
    image = nibabel.load(path)
    array = np.asarray(image.dataobj) + np.int16(1)
    nibabel.save(nibabel.Nifti1Image(array, image.affine), path)
    return [study / "more"]


@pytest.mark.parametrize(
    ("make", "seen"),
    [
        (another_scan, "has the name of the study's case 'a', but other voxels"),
        (two_labels, "is a second label of the scan 'u'"),
        (fewer_organs, "lacks liver, which"),
        (incomplete, "has no liver, which other cases of the study have"),
        (other_integers, "aorta: is 1 in the study's label maps and 2 in these"),
        (taken_integer, "kidney: has the integer 2, which is liver in the study's label maps"),
        (unknown_integer, "label values 3"),
        (two_purposes, "the same scan occurs in two parts of the split"),
        (lambda study, scan: [study / "nothing"], "no such folder"),
        (lambda study, scan: [study / "few", "--recipe=paper"], "--recipe found with --add"),
        (lambda study, scan: [study / "few", "--modality=MR"], "MR found, CT expected"),
    ],
)
def test_what_cannot_be_right_is_refused_and_the_study_stays(
    make, seen: str, study: Path, add: Add, scan
) -> None:
    before = content(study / "work")
    assert seen in add(*make(study, scan), code=2)
    after = content(study / "work")
    assert {key: after[key] for key in before} == before
    assert open_project(study / "work").edition == 1


@pytest.mark.parametrize(
    "place",
    [
        "store.reuse._link",
        "store.writing._write_label",
        "studies.growing.stored_twins",
        "studies.growing.write_json",
        "studies.growing.write_project",
    ],
)
def test_an_addition_that_is_stopped_leaves_the_study_whole_and_goes_on(
    place: str, study: Path, add: Add, scan, train, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan(study / "more", "c")
    scan(study / "more", "q", seed="u")
    before = content(study / "work")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"dvcl.{place}", stop)
        add(study / "more", code=130)
    after = content(study / "work")
    assert {key: after[key] for key in before} == before
    assert open_project(study / "work").edition == 1
    assert "1 labelled now: u." in add(study / "more")
    assert open_project(study / "work").edition == 2
    assert not [*study.rglob(".partial-*")]


def test_a_file_that_has_changed_is_prepared_anew_and_the_old_edition_keeps_what_it_had(
    study: Path, add: Add, scan, prepared: list[str]
) -> None:
    old = open_project(study / "work")
    had = old.store(old.load_recipe()).case("w").fingerprint.voxels_sha256
    scan(study / "many", "w", None, seed="other")
    scan(study / "more", "c")
    add(study / "more")
    assert prepared == ["w", "c"]
    found = [
        project.store(project.load_recipe()).case("w").fingerprint.voxels_sha256
        for project in (open_project(study / "work", 1), open_project(study / "work"))
    ]
    assert found[0] == had
    assert found[1] != had


def test_a_grown_study_is_prepared_again_as_it_is_and_never_replaced(
    study: Path, add: Add, scan, dvcl, prepared: list[str]
) -> None:
    scan(study / "more", "c")
    add(study / "more")
    said = dvcl("prepare", study / "work", "--labelled", study / "few", code=2)
    assert "is in edition 2, and would lose what was added" in said
    project = open_project(study / "work")
    image = project.store(project.load_recipe()).folder / "c" / "image.npy"
    image.write_bytes(image.read_bytes()[:-1])
    prepared.clear()
    assert "7 cases, 2 organs, recipe small-ct" in dvcl("prepare", study / "work", "--workers=1")
    assert prepared == ["c"]
    assert open_project(study / "work") == project
    assert "which scans?" in dvcl("prepare", study / "work", "--partial", code=2)


def test_a_damaged_record_is_written_anew_unless_the_study_has_grown(
    study: Path, add: Add, scan, prepare, dvcl
) -> None:
    words = ("--labelled", study / "few", "--unlabelled", study / "many")
    (study / "work" / "project.json").write_text("{}")
    prepare(study / "work", *words)
    scan(study / "more", "c")
    add(study / "more")
    (study / "work" / "project.json").write_text("{}")
    assert "is in edition 2, and would lose" in prepare(study / "work", *words, code=2)


def test_labels_that_have_changed_in_their_place_make_another_run(
    study: Path, prepare, train, scan
) -> None:
    words = ("--labelled", study / "few", "--unlabelled", study / "many",
             "--validation", study / "validation", "--test", study / "test")  # fmt: skip
    train(study / "work")
    prepare(study / "work", *words)
    assert "Finished before" in train(study / "work")
    scan(study / "few", "a", "aorta")
    prepare(study / "work", *words)
    said = train(study / "work", code=2)
    assert "holds a run with other settings" in said
    assert "label maps: " in said


def test_a_disk_without_hard_links_gets_copies(
    study: Path, add: Add, scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("dvcl.store.reuse.os.link", refused)
    scan(study / "more", "c")
    add(study / "more")
    store, old = (p.store(p.load_recipe()) for p in
                  (open_project(study / "work"), open_project(study / "work", 1)))  # fmt: skip
    first, second = (each.folder / "a" / "image.npy" for each in (store, old))
    assert first.read_bytes() == second.read_bytes()
    assert not first.samefile(second)
    store.case("a").check()


def test_a_folder_in_a_known_layout_is_added_too(study: Path, add: Add, scan) -> None:
    scan(study / "made", "c_0000")
    raw = study / "Dataset1"
    (raw / "imagesTr").parent.mkdir()
    shutil.copytree(study / "made" / "images", raw / "imagesTr")
    shutil.copytree(study / "made" / "labels", raw / "labelsTr")
    (raw / "labelsTr" / "c_0000.nii.gz").rename(raw / "labelsTr" / "c.nii.gz")
    labels = {"background": 0, "aorta": 1, "liver": 2}
    description = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1}
    (raw / "dataset.json").write_text(json.dumps(description))
    assert "1 new: c." in add(raw)
    assert roles(open_project(study / "work"))["c"] is None
    assert "takes roles and names from its folder" in add(raw, "--test", "x", code=2)


def test_files_that_have_moved_are_given_in_their_new_place(
    study: Path, add: Add, scan, dvcl, prepared: list[str]
) -> None:
    """Also for the runs of an earlier edition, whose references they are."""
    work = study / "work"
    dvcl("train", work, "--method=supervised", "--device=cpu", "--name=first")
    scan(study / "more", "c")
    add(study / "more")
    prepared.clear()
    (study / "archive").mkdir()
    for part in ("few", "test"):
        shutil.move(study / part, study / "archive" / part)
    run = work / "runs" / "first" / "supervised" / "seed-0"
    said = dvcl("evaluate", run, "--device=cpu", code=2)
    assert "`dvcl prepare WORK --add DIR`" in said
    said = add(study / "archive" / "few", f"--test={study / 'archive' / 'test'}")
    assert "6 files of the study found in another place" in said
    assert "Nothing new: " in said
    assert prepared == []
    for edition in (1, 2):
        cases = {case.id: case for case in open_project(work, edition).dataset.cases}
        for id, part in {"a": "few", "b": "few", "t": "test"}.items():
            assert cases[id].image == study / "archive" / part / "images" / f"{id}.nii.gz"
            assert cases[id].label == study / "archive" / part / "labels" / f"{id}.nii.gz"
    assert open_project(work).edition == 2
    dvcl("evaluate", run, "--device=cpu")
    dvcl("train", work, "--method=supervised", "--device=cpu")
