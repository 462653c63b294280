import json
from pathlib import Path

import pytest

from dvcl.datasets import load_nnunet
from dvcl.errors import InputError

DESCRIPTION = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "spleen": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


@pytest.fixture
def raw(tmp_path: Path, write_image, write_label) -> Path:
    """A folder with two training cases, a and b.c."""
    folder = tmp_path / "Dataset007_Abdomen"
    for id in ("a", "b.c"):
        write_image(folder / "imagesTr" / f"{id}_0000.nii.gz")
        write_label(folder / "labelsTr" / f"{id}.nii.gz")
    describe(folder)
    return folder


def describe(folder: Path, **changes: object) -> None:
    (folder / "dataset.json").write_text(json.dumps(DESCRIPTION | changes))


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        load_nnunet(folder)
    return error.value.problems


def test_training_cases_have_no_role_and_test_images_are_unlabelled(raw: Path, write_image) -> None:
    write_image(raw / "imagesTs" / "d_0000.nii.gz")
    dataset = load_nnunet(raw)
    assert [(case.id, case.role) for case in dataset.cases] == [
        ("a", None),
        ("b.c", None),
        ("d", "unlabelled"),
    ]
    assert dataset.cases[1].image == raw / "imagesTr" / "b.c_0000.nii.gz"
    assert dataset.cases[1].label == raw / "labelsTr" / "b.c.nii.gz"
    assert dataset.cases[2].label is None
    assert (dataset.name, dataset.modality) == ("Dataset007_Abdomen", "CT")
    assert dataset.labels.names == ("background", "liver", "spleen")


def test_images_with_labels_for_testing_are_test_cases(raw: Path, write_image, write_label) -> None:
    write_image(raw / "imagesTs" / "d_0000.nii.gz")
    write_label(raw / "labelsTs" / "d.nii.gz")
    (case,) = load_nnunet(raw).with_role("test")
    assert (case.id, case.label) == ("d", raw / "labelsTs" / "d.nii.gz")


def test_exported_pseudo_labels_are_for_training_alone(raw: Path, write_image) -> None:
    write_image(raw / "imagesTs" / "d_0000.nii.gz")
    (raw / "pseudo-labels.json").write_text("{}")
    assert [(case.id, case.role, case.pseudo_label) for case in load_nnunet(raw).cases] == [
        ("a", "labelled", True), ("b.c", "labelled", True), ("d", "unlabelled", False),
    ]  # fmt: skip


def test_an_empty_folder_of_test_images_is_no_problem(raw: Path) -> None:
    (raw / "imagesTs").mkdir()
    assert len(load_nnunet(raw).cases) == 2


@pytest.mark.parametrize(
    ("channel", "modality"),
    [("CT", "CT"), ("ct", "CT"), ("MRI", "MR"), ("T2", "MR"), ("noNorm", "MR")],
)
def test_the_channel_name_gives_the_modality(raw: Path, channel: str, modality: str) -> None:
    describe(raw, channel_names={"0": channel})
    assert load_nnunet(raw).modality == modality


def test_the_decathlon_layout_is_read(tmp_path: Path, write_image, write_label) -> None:
    for id in ("liver_1", "liver_20"):
        write_image(tmp_path / "imagesTr" / f"{id}.nii.gz")
        write_label(tmp_path / "labelsTr" / f"{id}.nii.gz")
        (tmp_path / "imagesTr" / f"._{id}.nii.gz").touch()
    write_image(tmp_path / "imagesTs" / "liver_3.nii.gz")
    old = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "tumour"}}
    (tmp_path / "dataset.json").write_text(json.dumps(old | {"numTraining": 2}))
    dataset = load_nnunet(tmp_path)
    assert [case.id for case in dataset.cases] == ["liver_1", "liver_20", "liver_3"]
    assert dataset.modality == "CT"
    assert dataset.labels.organs == ("liver", "tumour")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"channel_names": {"0": "T1", "1": "T2"}}, "channel_names are {'0': 'T1', '1': 'T2'}"),
        ({"channel_names": None}, "channel_names are None"),
        ({"file_ending": ".tif"}, "the file_ending is '.tif'"),
        ({"labels": {"background": 0, "both": [1, 2], "liver": 1}}, "joins the labels [1, 2]"),
        ({"labels": {"background": 0, "liver": 1, "ignore": 2}}, "has an 'ignore' label"),
        ({"labels": None}, "the labels are None"),
    ],
    ids=["channels", "no channels", "ending", "regions", "ignore", "no labels"],
)
def test_unsupported_descriptions_are_refused(raw: Path, changes: dict, expected: str) -> None:
    describe(raw, **changes)
    (problem,) = problems_of(raw)
    assert problem.startswith(f"{raw / 'dataset.json'}: ")
    assert expected in problem


def test_a_count_that_differs_tells_of_lost_files(raw: Path) -> None:
    describe(raw, numTraining=3)
    (problem,) = problems_of(raw)
    assert f"{raw}/imagesTr: 2 images have labels; 3 were expected" in problem


def test_a_missing_or_broken_description_is_named(raw: Path) -> None:
    (raw / "dataset.json").write_text("[]")
    assert "dataset.json: holds no JSON object" in problems_of(raw)[0]
    (raw / "dataset.json").unlink()
    assert "dataset.json: no such file" in problems_of(raw)[0]


def test_further_channels_are_refused(raw: Path, write_image) -> None:
    for name in ("imagesTr/a_0001", "imagesTs/d_0000", "imagesTs/d_0001"):
        write_image(raw / f"{name}.nii.gz")
    problems = problems_of(raw)
    assert len(problems) == 2
    for name, problem in zip("ad", problems, strict=True):
        assert f"{name}_0001.nii.gz: is a further channel of the case of {name}_0000.nii" in problem


def test_a_test_image_without_the_channel_of_the_training_is_refused(
    raw: Path, write_image
) -> None:
    write_image(raw / "imagesTs" / "d.nii.gz")
    (problem,) = problems_of(raw)
    assert "d.nii.gz: does not end with '_0000' as the training images do" in problem


def test_all_problems_are_listed_together(raw: Path, write_image) -> None:
    describe(raw, channel_names={}, labels={"liver": "x"})
    (raw / "labelsTr" / "a.nii.gz").unlink()
    (raw / "imagesTr" / "b.c_0000.nii.gz").unlink()
    problems = problems_of(raw)
    words = ["channel_names", "'liver': 'x' is no label", "has no label", "has no image"]
    for problem, expected in zip(problems, words, strict=True):
        assert expected in problem


def test_a_test_image_with_the_id_of_a_training_case_is_refused(raw: Path, write_image) -> None:
    write_image(raw / "imagesTs" / "a_0000.nii.gz")
    (problem,) = problems_of(raw)
    assert "the id 'a' occurs 2 times (no role, unlabelled)" in problem


def test_missing_training_folders_are_named(tmp_path: Path) -> None:
    describe(tmp_path)
    problems = problems_of(tmp_path)
    assert [problem.split(":")[0] for problem in problems] == [
        f"{tmp_path}/imagesTr",
        f"{tmp_path}/labelsTr",
    ]


def test_the_real_hippocampus_folder(real_data: Path) -> None:
    dataset = load_nnunet(real_data / "hippocampus")
    assert (len(dataset.cases), dataset.modality) == (130, "MR")
    assert dataset.labels.organs == ("anterior", "posterior")
    assert {case.role for case in dataset.cases} == {None}


LISTS = {
    "Decathlon": {
        "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
    },
    "nnU-Net 2": {
        "dataset": {"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}},
    },
}


@pytest.mark.parametrize("form", LISTS)
def test_the_list_is_followed_and_what_lies_beside_it_is_told(raw: Path, form: str) -> None:
    describe(raw, numTraining=1, **LISTS[form])
    dataset = load_nnunet(raw)
    assert [(case.id, case.image.name) for case in dataset.cases] == [("a", "a_0000.nii.gz")]
    assert len(dataset.notes) == 2
    assert "imagesTr: 1 of its volumes are not in the list" in dataset.notes[0]
    assert "(b.c_0000.nii.gz)" in dataset.notes[0]


def test_a_list_may_name_files_of_other_folders(raw: Path, write_image, write_label) -> None:
    write_image(raw / "pool" / "x.nii.gz")
    write_label(raw / "pool" / "y.nii.gz")
    describe(
        raw, numTraining=1, dataset={"x": {"images": ["pool/x.nii.gz"], "label": "pool/y.nii.gz"}}
    )
    (case,) = load_nnunet(raw).cases
    assert (case.image, case.label) == (raw / "pool" / "x.nii.gz", raw / "pool" / "y.nii.gz")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"image": "imagesTr/z.nii.gz", "label": "labelsTr/a.nii.gz"}, "z.nii.gz: no such file"),
        ("imagesTr/a_0000.nii.gz", "one image and one label were expected"),
        ({"images": ["a_0000.nii.gz", "a_0001.nii.gz"], "label": "a.nii.gz"}, "one image and one"),
        ({"image": 3, "label": "labelsTr/a.nii.gz"}, "one image and one label"),
    ],
)
def test_wrong_entries_of_the_list_are_named(raw: Path, entry: object, expected: str) -> None:
    describe(raw, training=[entry])
    assert expected in " ".join(problems_of(raw))


def test_only_files_of_the_file_ending_are_cases(raw: Path, write_image, write_label) -> None:
    write_image(raw / "imagesTr" / "a_0000.nii")
    write_label(raw / "labelsTr" / "e.nii")
    dataset = load_nnunet(raw)
    assert [case.id for case in dataset.cases] == ["a", "b.c"]
    assert "imagesTr: 1 of its volumes do not end with '.nii.gz'" in dataset.notes[0]
    assert "(e.nii)" in dataset.notes[1]


def test_an_archive_beside_the_cases_is_named(raw: Path) -> None:
    (raw / "imagesTr" / "more.ZIP").write_bytes(b"PK")
    (note,) = load_nnunet(raw).notes
    assert "more.ZIP: is an archive beside unpacked cases" in note
