import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets import load_folders
from dvcl.datasets.predicted import write_as_predicted
from dvcl.errors import InputError


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.json"
    path.write_text('{"1": "liver", "2": "spleen"}')
    return path


def problems_of(*arguments, **options) -> list[str]:
    with pytest.raises(InputError) as error:
        load_folders(*arguments, **options)
    assert str(error.value).count("\n") >= len(error.value.problems)
    return error.value.problems


def test_exported_pseudo_labels_are_marked_and_measure_nothing(
    tmp_path: Path, write_case, labels: Path
) -> None:
    for folder, name in (("few", "a"), ("accepted", "b")):
        write_case(tmp_path / folder, name)
    (tmp_path / "accepted" / "pseudo-labels.json").write_text("{}")
    (case,) = load_folders(tmp_path / "accepted", labels=labels).cases
    assert case.pseudo_label
    for role in ("validation", "test"):
        (problem,) = problems_of(tmp_path / "few", labels=labels, **{role: tmp_path / "accepted"})
        assert "accepted: holds pseudo-labels" in problem
        assert f"{role} cases were expected" in problem


def test_predicted_label_maps_count_once_somebody_has_changed_them(
    tmp_path: Path, write_case, write_label, labels: Path
) -> None:
    """The folder that `dvcl next` lays out to be corrected."""
    folder = tmp_path / "to-correct"
    for name in "ab":
        write_case(folder, name)
    masks = sorted((folder / "labels").iterdir())
    write_as_predicted(folder, masks)
    found = problems_of(folder, labels=labels)
    assert [text.partition(" (")[0] for text in found] == [
        f"{mask}: is as networks predicted it" for mask in masks
    ]
    write_label(masks[0], np.ones((4, 5, 6), np.uint8))
    (problem,) = problems_of(folder, labels=labels)
    assert problem.startswith(f"{masks[1]}: ")
    assert "as-predicted.json" in problem
    (folder / "as-predicted.json").unlink()
    assert not any(case.pseudo_label for case in load_folders(folder, labels=labels).cases)


def test_every_folder_gives_its_role(tmp_path: Path, write_case, write_image, labels: Path) -> None:
    for role, ids in {"train": "ab", "val": "c", "test": "d"}.items():
        for id in ids:
            write_case(tmp_path / role, id)
    write_image(tmp_path / "clinic" / "e.nii")
    write_image(tmp_path / "archive" / "images" / "f.nii.gz")
    dataset = load_folders(
        tmp_path / "train",
        [tmp_path / "clinic", tmp_path / "archive"],
        tmp_path / "val",
        tmp_path / "test",
        labels,
        "MR",
        "mine",
    )
    roles = {case.id: case.role for case in dataset.cases}
    assert roles == {
        "a": "labelled",
        "b": "labelled",
        "e": "unlabelled",
        "f": "unlabelled",
        "c": "validation",
        "d": "test",
    }
    assert (dataset.name, dataset.modality) == ("mine", "MR")
    assert dataset.labels.organs == ("liver", "spleen")
    first = dataset.cases[0]
    assert first.image == tmp_path / "train" / "images" / "a.nii.gz"
    assert first.label == tmp_path / "train" / "labels" / "a.nii.gz"


def test_labels_are_never_looked_for_under_unlabelled(
    tmp_path: Path, write_case, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_case(tmp_path / "train", "a")
    write_case(tmp_path / "more", "b")
    listed: list[Path] = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: listed.append(path) or iterdir(path))
    dataset = load_folders(tmp_path / "train", [tmp_path / "more"], labels=labels)
    assert [case.label for case in dataset.with_role("unlabelled")] == [None]
    assert tmp_path / "more" / "labels" not in listed


@pytest.mark.parametrize(
    ("image", "label", "id"),
    [
        ("a.b.nii.gz", "a.b.nii.gz", "a.b"),
        ("1.2.840.nii", "1.2.840.nii.gz", "1.2.840"),
        ("case 7 größe.nii.gz", "case 7 größe.nii.gz", "case 7 größe"),
        ("肝_01.nii.gz", "肝_01.nii.gz", "肝_01"),
        ("a_0000.nii.gz", "a.nii.gz", "a"),
        ("a_0000.nii.gz", "a_0000.nii.gz", "a_0000"),
        (
            unicodedata.normalize("NFD", "größe.nii"),
            unicodedata.normalize("NFC", "größe.nii"),
            "größe",
        ),
        ("A.NII.GZ", "A.nii.gz", "A"),
    ],
    ids=["dot", "uid", "space", "non-latin", "channel", "number", "decomposed", "capitals"],
)
def test_names_that_belong_together(
    tmp_path: Path, write_image, write_label, labels: Path, image: str, label: str, id: str
) -> None:
    write_image(tmp_path / "images" / image)
    write_label(tmp_path / "labels" / label)
    (case,) = load_folders(tmp_path, labels=labels).cases
    assert case.id == id
    assert (case.image.name, case.label.name) == (image, label)


def test_unlabelled_names_lose_the_channel_only_together(
    tmp_path: Path, write_case, write_image, labels: Path
) -> None:
    write_case(tmp_path, "x")
    for folder, names in {"nn": ("a_0000", "b_0000"), "plain": ("c_0000", "c_0001")}.items():
        for place, name in enumerate(names):
            array = np.zeros((4 + place, 5, 6), np.int16)
            write_image(tmp_path / folder / f"{name}.nii.gz", array)
    dataset = load_folders(tmp_path, [tmp_path / "nn", tmp_path / "plain"], labels=labels)
    assert [case.id for case in dataset.cases] == ["x", "a", "b", "c_0000", "c_0001"]


def test_folders_among_images_are_never_passed_over(
    tmp_path: Path, write_case, write_image
) -> None:
    write_case(tmp_path, "a")
    write_image(tmp_path / "clinic" / "b.nii.gz")
    for folder in (tmp_path / "images" / "p7", tmp_path / "clinic" / "p8"):
        folder.mkdir()
        (folder / "IM1.x").write_bytes(b"no slice")
    with pytest.raises(InputError) as error:
        load_folders(tmp_path, [tmp_path / "clinic"])
    assert [problem.split(";")[0] for problem in error.value.problems] == [
        f"{tmp_path}/images/p7: is a folder without DICOM slices, found 1 .x",
        f"{tmp_path}/clinic/p8: is a folder without DICOM slices, found 1 .x",
    ]


def test_links_are_followed_and_other_files_ignored(
    tmp_path: Path, write_case, labels: Path
) -> None:
    image, label = write_case(tmp_path / "far away", "a")
    for folder, target in {"images": image, "labels": label}.items():
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / "a.nii.gz").symlink_to(target)
        for other in ("._a.nii.gz", ".DS_Store", "Thumbs.db", "notes.txt"):
            (tmp_path / "data" / folder / other).touch()
    (tmp_path / "data" / "images" / "old").mkdir()
    assert [case.id for case in load_folders(tmp_path / "data", labels=labels).cases] == ["a"]


def test_missing_folders_are_listed_together(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problems = problems_of(
        tmp_path / "a", [tmp_path / "b", tmp_path / "file"], tmp_path / "c", tmp_path / "d"
    )
    assert [problem.split(";")[0] for problem in problems] == [
        f"{tmp_path}/a: no such folder",
        f"{tmp_path}/b: no such folder",
        f"{tmp_path}/file: is a file",
        f"{tmp_path}/c: no such folder",
        f"{tmp_path}/d: no such folder",
    ]


def test_empty_folders_say_what_they_hold(tmp_path: Path, labels: Path) -> None:
    for name in ("images", "labels", "none"):
        (tmp_path / name).mkdir()
    for name in ("a.tif", "b.tif", "c.dcm"):
        (tmp_path / "images" / name).touch()
    (tmp_path / "labels" / ".hidden.nii.gz").touch()
    problems = problems_of(tmp_path, [tmp_path / "none"], labels=labels)
    assert len(problems) == 3
    assert f"{tmp_path}/images: holds no volumes, found 2 .tif, 1 .dcm;" in problems[0]
    assert f"{tmp_path}/labels: holds no volumes, found nothing;" in problems[1]
    assert f"{tmp_path}/none: holds no volumes" in problems[2]


def test_a_folder_of_dicom_slices_is_an_image(tmp_path: Path, write_label, labels: Path) -> None:
    for place in ("train/images/p.1/IM0", "train/images/p.2/study/IM0", "clinic/p3/1"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(bytes(128) + b"DICM")
    for id in ("p.1", "p.2"):
        write_label(tmp_path / "train" / "labels" / f"{id}.nii.gz")
    cases = load_folders(tmp_path / "train", [tmp_path / "clinic"], labels=labels).cases
    assert [case.id for case in cases] == ["p.1", "p.2", "p3"]
    assert cases[1].image == tmp_path / "train" / "images" / "p.2"
    (problem,) = problems_of(tmp_path / "train", [tmp_path / "clinic" / "p3"], labels=labels)
    assert f"Put the DICOM slices of each case into a folder of their own, {tmp_path}" in problem


def test_unpaired_files_of_all_roles_are_listed_together(
    tmp_path: Path, write_case, write_image, write_label, labels: Path
) -> None:
    for role in ("train", "val"):
        write_case(tmp_path / role, f"{role}_ok")
        write_image(tmp_path / role / "images" / f"{role}_image.nii.gz")
        write_label(tmp_path / role / "labels" / f"{role}_label.nii.gz")
    problems = problems_of(tmp_path / "train", validation=tmp_path / "val", labels=labels)
    assert len(problems) == 4
    for role, (image, label) in {"train": problems[:2], "val": problems[2:]}.items():
        folder = tmp_path / role
        assert f"{folder}/images/{role}_image.nii.gz: has no label; expected " in image
        assert f"{folder}/labels/{role}_image.nii.gz" in image
        assert f"{folder}/labels/{role}_label.nii.gz: has no image; expected " in label


def test_two_files_of_one_case_are_refused(
    tmp_path: Path, write_case, write_image, write_label, labels: Path
) -> None:
    write_case(tmp_path, "a")
    write_image(tmp_path / "images" / "a.nii")
    write_label(tmp_path / "labels" / "a.nii")
    problems = problems_of(tmp_path, labels=labels)
    assert len(problems) == 2
    assert all("one file per case was expected" in problem for problem in problems)


def test_a_folder_that_is_named_twice_is_to_be_named_once(
    tmp_path: Path, write_case, labels: Path
) -> None:
    image, _ = write_case(tmp_path, "a")
    (problem,) = problems_of(tmp_path, test=tmp_path, labels=labels)
    assert problem.startswith(f"{image}: the id 'a' occurs 2 times (labelled, test)")
    assert problem.endswith("It is one file: name its folder once.")


@pytest.mark.parametrize("other", ["a", "A"])
def test_an_id_in_two_roles_is_refused(
    tmp_path: Path, write_case, write_image, labels: Path, other: str
) -> None:
    write_case(tmp_path / "train", "a")
    write_image(tmp_path / "more" / f"{other}.nii.gz")
    (problem,) = problems_of(tmp_path / "train", [tmp_path / "more"], labels=labels)
    assert f"{tmp_path}/train/images/a.nii.gz, {tmp_path}/more/{other}.nii.gz: " in problem
    assert "the id 'a' occurs 2 times (labelled, unlabelled)" in problem


def test_an_id_twice_in_one_role_is_refused(
    tmp_path: Path, write_case, write_image, labels: Path
) -> None:
    write_case(tmp_path, "a")
    write_image(tmp_path / "images" / "a_0000.nii.gz")
    (problem,) = problems_of(tmp_path, labels=labels)
    assert "the id 'a' occurs 2 times (labelled, labelled)" in problem


def test_a_further_channel_is_named(tmp_path: Path, write_image, write_label, labels: Path) -> None:
    for channel in ("0000", "0001"):
        write_image(tmp_path / "images" / f"a_{channel}.nii.gz")
    write_label(tmp_path / "labels" / "a.nii.gz")
    (problem,) = problems_of(tmp_path, labels=labels)
    assert "images/a_0001.nii.gz: is a further channel of the case of a_0000.nii.gz" in problem


@pytest.mark.parametrize(
    "entries",
    [
        {"1": "liver", "7": "spleen"},
        {"0": "background", "7": "spleen", "1": "liver"},
        {"liver": 1, "spleen": 7},
        {"background": 0, "liver": "1", "spleen": "7"},
    ],
)
def test_label_tables_in_either_direction(tmp_path: Path, write_case, entries: dict) -> None:
    write_case(tmp_path, "a")
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    table = load_folders(tmp_path, labels=tmp_path / "labels.json").labels
    assert table.values == (0, 1, 7)
    assert table.names == ("background", "liver", "spleen")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"1": "liver",', ["not valid JSON"]),
        ("[1, 2]", ["the labels are [1, 2]"]),
        ("{}", ["the labels are {}"]),
        ('{"0": "background"}', ["names 0 organs"]),
        ('{"0": "liver", "1": "spleen"}', ["the value 0 is named 'liver'"]),
        ('{"1": "liver", "01": "spleen"}', ["the value 1 is both 'liver' and 'spleen'"]),
        ('{"liver": 1, "spleen": 1}', ["the value 1 is both 'liver' and 'spleen'"]),
        ('{"1": "liver", "2": "liver"}', ["the name 'liver' is given to two values"]),
        ('{"1": 2}', ["'1': 2 is no label"]),
        ('{"liver": 1.5, "spleen": true}', ["'liver': 1.5 is no label", "'spleen': True"]),
        ('{"1": ""}', ["'1': '' is no label"]),
        ('{"both": [1, 2], "liver": 1}', ["'both' joins the labels [1, 2] into one region"]),
        ('{"70000": "liver"}', ["the value 70000 is outside -32768 to 65535"]),
    ],
)
def test_broken_label_tables_are_listed_with_the_rest(
    tmp_path: Path, write_case, content: str, expected: list[str]
) -> None:
    write_case(tmp_path, "a")
    (tmp_path / "labels.json").write_text(content)
    problems = problems_of(tmp_path, [tmp_path / "none"], labels=tmp_path / "labels.json")
    assert problems[0].startswith(f"{tmp_path}/none: ")
    assert len(problems) == 1 + len(expected)
    for problem, words in zip(problems[1:], expected, strict=True):
        assert problem.startswith(f"{tmp_path}/labels.json: ")
        assert words in problem


def test_a_missing_labels_file_is_named(tmp_path: Path, write_case) -> None:
    write_case(tmp_path, "a")
    (problem,) = problems_of(tmp_path, labels=tmp_path / "none.json")
    assert "none.json: no such file" in problem
    assert 'Check the path, or write the file: {"1": "liver"' in problem


def test_without_a_labels_file_the_integers_become_the_table(
    tmp_path: Path, write_case, write_image, write_label
) -> None:
    write_case(tmp_path / "train", "a")
    write_image(tmp_path / "val" / "images" / "b.nii.gz")
    array = np.zeros((4, 5, 6), np.int16)
    array[0] = 300
    write_label(tmp_path / "val" / "labels" / "b.nii.gz", array)
    table = load_folders(tmp_path / "train", validation=tmp_path / "val").labels
    assert table.values == (0, 1, 2, 300)
    assert table.organs == ("label 1", "label 2", "label 300")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((4, 5, 6), np.uint8), "nothing but background"),
        (np.arange(1000, dtype=np.int16).reshape(10, 10, 10), "999 different integers"),
        (np.full((4, 5, 6), 0.5), "a.nii.gz: 120 voxels are not whole numbers"),
        (np.full((4, 5, 6), 100_000), "values 0 to 100000"),
    ],
    ids=["empty", "image", "probabilities", "too large"],
)
def test_labels_that_make_no_table_are_refused(
    tmp_path: Path, write_image, write_label, array: np.ndarray, expected: str
) -> None:
    write_image(tmp_path / "images" / "a.nii.gz")
    write_label(tmp_path / "labels" / "a.nii.gz", array.astype(np.float64))
    (problem,) = problems_of(tmp_path)
    assert expected in problem


def test_unreadable_labels_are_listed_with_all_other_faults(
    tmp_path: Path, write_case, write_image, write_label
) -> None:
    """Without a labels file the integers are read first; that must not hide the images' faults."""
    for id in "abc":
        write_case(tmp_path / "train", id)
    write_label(tmp_path / "train" / "labels" / "a.nii.gz", np.full((4, 5, 6), 0.5))
    write_image(tmp_path / "train" / "images" / "b.nii.gz", np.full((4, 5, 6), 7.0))
    write_label(tmp_path / "train" / "labels" / "c.nii.gz", np.ones((4, 5, 5), np.uint8))
    write_image(tmp_path / "clinic" / "d.nii.gz").write_bytes(b"<html>")
    problems = problems_of(tmp_path / "train", [tmp_path / "clinic"])
    assert [Path(problem.split(": ")[0]).name for problem in problems] == [
        f"{id}.nii.gz" for id in "abcd"
    ]


def test_labelled_cases_need_their_two_folders(tmp_path: Path, write_image, labels: Path) -> None:
    write_image(tmp_path / "train" / "a.nii.gz")
    (problem,) = problems_of(tmp_path / "train", labels=labels)
    assert "train: holds neither images/ nor labels/, found 1 .gz; " in problem
    assert "images/ and labels/" in problem


def test_an_unknown_modality_is_refused(tmp_path: Path, write_case, labels: Path) -> None:
    write_case(tmp_path, "a")
    assert problems_of(tmp_path, labels=labels, modality="PET") == [
        "modality: 'PET'; expected CT or MR."
    ]


def test_the_real_head_and_neck_folders(real_data: Path) -> None:
    folder = real_data / "headneck"
    dataset = load_folders(
        folder / "labelled",
        [folder / "unlabelled"],
        folder / "val",
        folder / "test",
        folder / "labels.json",
    )
    counts = {role: len(dataset.with_role(role)) for role in ("labelled", "unlabelled")}
    assert counts == {"labelled": 10, "unlabelled": 80}
    assert len(dataset.with_role("validation")) == 5
    assert len(dataset.with_role("test")) == 12
    assert dataset.labels.organs[0] == "Brainstem"


@pytest.mark.parametrize("place", ["train", "."])
def test_a_labels_file_beside_or_above_the_label_maps_needs_no_name(
    place: str, tmp_path: Path, write_case
) -> None:
    write_case(tmp_path / "train", "a")
    (tmp_path / place / "labels.json").write_text('{"1": "liver", "2": "spleen"}')
    assert load_folders(tmp_path / "train").labels.organs == ("liver", "spleen")
    other = tmp_path / "other.json"
    other.write_text('{"1": "heart", "2": "lung"}')
    assert load_folders(tmp_path / "train", labels=other).labels.organs == ("heart", "lung")
