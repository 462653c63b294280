"""One mask per organ: found, numbered, merged, and what is wrong with them."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.datasets import load_folders
from dvcl.datasets.checks import check_dataset
from dvcl.datasets.dataset import Dataset
from dvcl.datasets.masks import case_masks, has_masks, read_case_label
from dvcl.errors import InputError
from dvcl.volume import read_label, read_volume, write_volume
from dvcl.volume.turning import orient

SHAPE = (4, 5, 6)
MASKS = {"spleen": (0, 1), "liver": (1, 3), "aorta": (3, 4)}  # slices of each organ


@pytest.fixture
def write_masks(write_image, write_label):
    """write_masks(folder, "a", liver=(1, 3), ...) -> folder/images/a.nii.gz, labels/a/liver...."""

    def write(folder: Path, id: str, inside: str = "labels/{id}", **organs) -> Path:
        write_image(folder / "images" / f"{id}.nii.gz")
        masks = folder / inside.format(id=id)
        for organ, (first, last) in (organs or MASKS).items():
            array = np.zeros(SHAPE, np.uint8)
            array[first:last] = 1
            write_label(masks / f"{organ}.nii.gz", array)
        return masks

    return write


def labels_file(folder: Path, **organs: int) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(organs))
    return path


def problems_of(*arguments, **options) -> list[str]:
    with pytest.raises(InputError) as error:
        load_folders(*arguments, **options)
    return error.value.problems


@pytest.mark.parametrize("inside", ["labels/{id}", "labels/{id}/segmentations"])
def test_the_names_of_the_files_are_the_organs(tmp_path: Path, write_masks, inside: str) -> None:
    write_masks(tmp_path, "a", inside)
    dataset = load_folders(tmp_path)
    assert dataset.labels.to_json() == {
        "0": "background", "1": "aorta", "2": "liver", "3": "spleen",
    }  # fmt: skip
    (case,) = dataset.cases
    assert has_masks(case)
    label = read_case_label(case, dataset.labels)
    assert label.array.dtype == np.int32
    assert label.array[:, 0, 0].tolist() == [3, 2, 2, 1]
    assert np.allclose(label.affine, read_volume(case.image).affine)
    check_dataset(dataset)
    assert Dataset.from_json(dataset.to_json()) == dataset


def test_the_layout_of_totalsegmentator(tmp_path: Path, write_masks) -> None:
    for id in ("s0001", "s0002"):
        write_masks(tmp_path / "parts", id, f"../train/{id}/segmentations")
        image = tmp_path / "parts" / "images" / f"{id}.nii.gz"
        image.rename(tmp_path / "train" / id / "ct.nii.gz")
    (tmp_path / "train" / "meta.csv").write_text("image_id;age")
    cases = load_folders(tmp_path / "train").cases
    assert [case.id for case in cases] == ["s0001", "s0002"]
    assert cases[0].image == tmp_path / "train" / "s0001" / "ct.nii.gz"
    assert cases[0].label == tmp_path / "train" / "s0001" / "segmentations"
    (tmp_path / "train" / "s0002" / "ct.nii.gz").unlink()
    (tmp_path / "train" / "s0003").mkdir()
    problems = problems_of(tmp_path / "train")
    assert [problem.split(";")[0] for problem in problems] == [
        f"{tmp_path}/train/s0002: holds no image and 1 folder",
        f"{tmp_path}/train/s0003: holds no image and nothing",
    ]


def test_a_labels_file_gives_the_integers_and_chooses(tmp_path: Path, write_masks) -> None:
    write_masks(tmp_path, "a")
    dataset = load_folders(tmp_path, labels=labels_file(tmp_path, spleen=7, liver=300))
    assert dataset.labels.values == (0, 7, 300)
    assert list(case_masks(dataset.cases[0], dataset.labels)) == ["spleen", "liver"]
    label = read_case_label(dataset.cases[0], dataset.labels)
    assert label.array[:, 0, 0].tolist() == [7, 300, 300, 0]


def test_maps_and_masks_together_need_a_labels_file(
    tmp_path: Path, write_case, write_masks
) -> None:
    write_case(tmp_path, "a")
    write_masks(tmp_path, "b")
    (problem,) = problems_of(tmp_path)
    assert "a.nii.gz and 0 more are label maps, " in problem
    assert "labels/b and 0 more folders of masks" in problem
    dataset = load_folders(tmp_path, labels=labels_file(tmp_path, liver=1, spleen=2))
    assert [has_masks(case) for case in dataset.cases] == [False, True]
    check_dataset(dataset)


def test_a_map_and_masks_of_one_case_are_refused(tmp_path: Path, write_case, write_masks) -> None:
    write_masks(tmp_path, "a")
    write_case(tmp_path, "a")
    (problem,) = problems_of(tmp_path)
    assert "one file per case was expected" in problem


def test_missing_masks_are_listed_by_case(tmp_path: Path, write_masks) -> None:
    write_masks(tmp_path, "a")
    write_masks(tmp_path, "b", liver=(0, 1))
    write_masks(tmp_path, "c", liver=(0, 1), aorta=(2, 3))
    problems = problems_of(tmp_path)
    assert [problem.split(";")[0] for problem in problems] == [
        f"{tmp_path}/labels/b: has no mask of aorta, spleen",
        f"{tmp_path}/labels/c: has no mask of spleen",
    ]
    assert all("with --partial" in problem for problem in problems)


def test_partly_labelled_cases_are_taken_when_asked(tmp_path: Path, write_masks) -> None:
    write_masks(tmp_path, "a")
    write_masks(tmp_path, "b", liver=(0, 1))
    dataset = load_folders(tmp_path, partial=True)
    assert [case.unannotated for case in dataset.cases] == [(), ("aorta", "spleen")]
    assert Dataset.from_json(dataset.to_json()) == dataset
    assert read_case_label(dataset.cases[1], dataset.labels).array[:, 0, 0].tolist() == [2, 0, 0, 0]


@pytest.mark.parametrize("partial", [True, False])
def test_masks_of_other_names_only_are_refused(tmp_path: Path, write_masks, partial: bool) -> None:
    write_masks(tmp_path, "a")
    (problem,) = problems_of(tmp_path, labels=labels_file(tmp_path, Liver=1), partial=partial)
    assert "none of its masks (aorta, liver, spleen) has the name of an organ; Liver" in problem


def test_two_masks_of_one_organ_are_refused(tmp_path: Path, write_masks, write_label) -> None:
    masks = write_masks(tmp_path, "a")
    write_label(masks / "liver.nii")
    (problem,) = problems_of(tmp_path)
    assert f"{masks}/liver.nii.gz: liver.nii is a mask of the same organ" in problem


def test_overlaps_are_counted_by_organ(tmp_path: Path, write_masks) -> None:
    masks = write_masks(tmp_path, "a", aorta=(0, 2), liver=(1, 3), spleen=(1, 4))
    dataset = load_folders(tmp_path)
    with pytest.raises(InputError) as error:
        check_dataset(dataset)
    assert [problem.split(";")[0] for problem in error.value.problems] == [
        f"{masks}/liver.nii.gz: 30 voxels are both aorta and liver",
        f"{masks}/spleen.nii.gz: 60 voxels are both liver and spleen",
    ]
    assert "with --overlaps" in error.value.problems[0]


def test_the_later_organ_wins_when_asked(tmp_path: Path, write_masks) -> None:
    write_masks(tmp_path, "a", aorta=(0, 2), liver=(1, 3), spleen=(1, 2))
    dataset = load_folders(tmp_path, overlaps=True)
    assert dataset.cases[0].later_mask_wins
    assert Dataset.from_json(dataset.to_json()) == dataset
    check_dataset(dataset)
    assert read_case_label(dataset.cases[0], dataset.labels).array[:, 0, 0].tolist() == [1, 3, 2, 0]


def test_all_faults_of_the_masks_are_listed(tmp_path: Path, write_masks, write_label) -> None:
    masks = write_masks(tmp_path, "a")
    write_label(masks / "b_values.nii.gz")
    write_label(masks / "c_size.nii.gz", np.zeros((4, 5, 5), np.uint8))
    moved = np.diag([-2.0, -3, 4, 1])
    write_label(masks / "d_place.nii.gz", np.zeros(SHAPE, np.uint8), moved)
    (masks / "e_damaged.nii.gz").write_bytes(b"<html>")
    dataset = load_folders(tmp_path)
    with pytest.raises(InputError) as error:
        read_case_label(dataset.cases[0], dataset.labels)
    expected = {
        "b_values": "holds the values 1, 2; 0 and one other value",
        "c_size": "has 4 x 5 x 5 voxels (z, y, x), the masks before it 4 x 5 x 6;",
        "d_place": "lies up to 37.4 mm away from the masks before it; at most 0.5 mm",
        "e_damaged": "cannot be read as NIfTI",
    }
    assert len(error.value.problems) == len(expected)
    for problem, (name, words) in zip(error.value.problems, expected.items(), strict=True):
        assert problem.startswith(f"{masks}/{name}.nii.gz: {words}")


def test_any_value_marks_the_inside(tmp_path: Path, write_masks) -> None:
    masks = write_masks(tmp_path, "a")
    image = nibabel.load(masks / "liver.nii.gz")
    values = np.asarray(image.dataobj).astype(np.uint8) * 255
    nibabel.save(nibabel.Nifti1Image(values, image.affine), masks / "liver.nii.gz")
    dataset = load_folders(tmp_path)
    label = read_case_label(dataset.cases[0], dataset.labels)
    assert label.array[:, 0, 0].tolist() == [3, 2, 2, 1]


def test_masks_of_other_axes_are_turned(tmp_path: Path, write_masks) -> None:
    masks = write_masks(tmp_path, "a")
    dataset = load_folders(tmp_path)
    before = read_case_label(dataset.cases[0], dataset.labels)
    write_volume(masks / "liver.nii.gz", orient(read_label(masks / "liver.nii.gz"), "ASR"))
    after = read_case_label(dataset.cases[0], dataset.labels)
    assert np.array_equal(after.array, before.array)
    check_dataset(dataset)


def test_masks_lie_on_the_grid_of_the_image(tmp_path: Path, write_masks, write_image) -> None:
    masks = write_masks(tmp_path, "a")
    write_image(tmp_path / "images" / "a.nii.gz", affine=np.diag([-2.0, -3, 4, 1]))
    with pytest.raises(InputError, match=f"{masks}: lies up to 37.4 mm away from its image"):
        check_dataset(load_folders(tmp_path))
