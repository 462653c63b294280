from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets import load_folders, load_nnunet
from dvcl.datasets.checks import check_dataset
from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError

TABLE = LabelTable((0, 1, 2), ("background", "liver", "spleen"))
AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])


@pytest.fixture
def case(tmp_path: Path, write_case) -> Case:
    return Case("a", *write_case(tmp_path, "a"), "labelled")


def problems_of(*cases: Case) -> list[str]:
    with pytest.raises(InputError) as error:
        check_dataset(Dataset("mine", "CT", cases, TABLE))
    return error.value.problems


def only_problem_of(case: Case) -> str:
    (problem,) = problems_of(case)
    return problem


def moved(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    affine = AFFINE.copy()
    affine[:3, 3] += (x, y, z)
    return affine


def test_sound_cases_pass_and_progress_is_told(case: Case, tmp_path: Path, write_image) -> None:
    told = []
    plain = Case("b", write_image(tmp_path / "b.nii"), None, "unlabelled")
    free = Case("c", write_image(tmp_path / "c.nii"), None, None)
    dataset = Dataset("mine", "CT", (case, plain, free), TABLE)
    check_dataset(dataset, lambda *step: told.append(step))
    assert told == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]


def test_every_file_is_read_once_and_labels_of_unlabelled_cases_never(
    case: Case, tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvcl.datasets import masks
    from dvcl.datasets.checks import cases

    read: list[Path] = []
    for module, name in ((cases, "read_volume"), (masks, "read_label")):
        reader = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path, f=reader: read.append(path) or f(path))
    trap = tmp_path / "labels" / "never.nii.gz"
    trap.write_text("no volume")
    image = write_image(tmp_path / "b.nii")
    check_dataset(Dataset("mine", "CT", (case, Case("b", image, trap, "unlabelled")), TABLE))
    assert sorted(read) == sorted([case.image, case.label, image])


@pytest.mark.parametrize(("value", "count"), [(np.nan, 3), (np.inf, 1), (-np.inf, 120)])
def test_voxels_that_are_no_numbers_are_counted(
    case: Case, write_image, value: float, count: int
) -> None:
    array = np.arange(120, dtype=np.float32)
    array[:count] = value
    write_image(case.image, array.reshape(4, 5, 6))
    problem = only_problem_of(case)
    told = {3: "3 voxels (2.50%) are", 1: "1 voxel (0.83%) is", 120: "120 voxels (100.00%) are"}
    assert f"{case.image}: {told[count]} NaN or infinite" in problem


@pytest.mark.parametrize("value", [0, -1024])
def test_constant_images_are_refused(case: Case, write_image, value: int) -> None:
    write_image(case.image, np.full((4, 5, 6), value, np.int16))
    assert f"{case.image}: every voxel has the value {value};" in only_problem_of(case)


def test_empty_labels_are_allowed(case: Case, write_label) -> None:
    write_label(case.label, np.zeros((4, 5, 6), np.uint8))
    check_dataset(Dataset("mine", "CT", (case,), TABLE))


def test_label_values_outside_the_table_are_counted(case: Case, write_label) -> None:
    array = np.zeros((4, 5, 6), np.int16)
    array.ravel()[:4] = (7, -1, 7, 300)
    write_label(case.label, array)
    problem = only_problem_of(case)
    assert f"{case.label}: label values -1 (1 voxel), 7 (2 voxels), 300 (1 voxel)" in problem
    assert "(0 background, 1 liver, 2 spleen)" in problem


def test_an_image_given_as_label_lists_few_of_its_values(case: Case, write_label) -> None:
    write_label(case.label, np.arange(1000, 1120, dtype=np.int16).reshape(4, 5, 6))
    problem = only_problem_of(case)
    assert "1009 (1 voxel) and 110 more are not in the label table" in problem


def test_a_label_of_another_size_is_refused(case: Case, write_label) -> None:
    write_label(case.label, np.zeros((3, 5, 6), np.uint8))
    problem = only_problem_of(case)
    assert (
        f"{case.label}: has 3 x 5 x 6 voxels (z, y, x), its image {case.image} 4 x 5 x 6" in problem
    )


@pytest.mark.parametrize("affine", [moved(x=0.49), moved(0.2, 0.2, 0.2)])
def test_small_differences_of_the_header_are_tolerated(
    case: Case, write_label, affine: np.ndarray
) -> None:
    write_label(case.label, affine=affine)
    check_dataset(Dataset("mine", "CT", (case,), TABLE))


@pytest.mark.parametrize(
    ("affine", "expected"),
    [
        (moved(z=0.6), "from (10, 20, -29.4) against 4 x 3 x 2 mm LPS from (10, 20, -30)"),
        (
            AFFINE * [-1, 1, 1, 1],
            "4 x 3 x 2 mm RPS from (10, 20, -30) against 4 x 3 x 2 mm LPS from",
        ),
        (AFFINE * [1, 1, 1.1, 1], "4.4 x 3 x 2 mm LPS from (10, 20, -30) against 4 x 3"),
    ],
    ids=["shift", "flip", "spacing"],
)
def test_a_label_elsewhere_in_space_is_refused(
    case: Case, write_label, affine: np.ndarray, expected: str
) -> None:
    write_label(case.label, affine=affine)
    problem = only_problem_of(case)
    assert problem.startswith(f"{case.label}: lies up to ")
    assert expected in problem


@pytest.mark.parametrize("which", ["image", "label"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "0 bytes"), (b"<html>", "cannot be read as NIfTI"), (None, "no such file")],
    ids=["empty", "page", "missing"],
)
def test_unreadable_files_are_named_once(
    case: Case, which: str, content: bytes | None, expected: str
) -> None:
    path = getattr(case, which)
    path.unlink() if content is None else path.write_bytes(content)
    problem = only_problem_of(case)
    assert problem.startswith(f"{path}: ")
    assert expected in problem


def test_a_truncated_file_is_named(case: Case, write_image, write_label) -> None:
    noise = np.random.default_rng(0).integers(0, 1000, (20, 20, 20)).astype(np.int16)
    write_image(case.image, noise)
    write_label(case.label, (noise % 3).astype(np.uint8))
    case.image.write_bytes(case.image.read_bytes()[:-9])
    assert f"{case.image}: the voxel data are truncated" in only_problem_of(case)


@pytest.mark.parametrize("role", ["labelled", "validation", "test"])
def test_a_role_that_needs_a_label_has_one(case: Case, role: str) -> None:
    assert f"is a {role} case without a label" in only_problem_of(Case("a", case.image, None, role))


def test_double_ids_and_empty_sets_are_refused(case: Case) -> None:
    (problem,) = problems_of(case, case)
    assert "the id 'a' occurs 2 times" in problem
    assert problems_of() == ["mine: no cases."]


def test_all_problems_of_all_cases_are_listed(tmp_path: Path, write_case, write_image) -> None:
    cases = [Case(id, *write_case(tmp_path, id), "labelled") for id in "abcd"]
    write_image(cases[0].image, np.zeros((4, 5, 6), np.float32))
    cases[0].label.write_text("")
    cases[2].image.unlink()
    with pytest.raises(InputError) as error:
        check_dataset(Dataset("mine", "CT", tuple(cases), TABLE))
    text = str(error.value)
    assert text.startswith("data set 'mine' cannot be used as it is:\n  - ")
    assert [problem.split(": ")[0] for problem in error.value.problems] == [
        str(cases[0].image),
        str(cases[0].label),
        str(cases[2].image),
    ]


def test_the_real_volumes_are_sound(real_data: Path) -> None:
    check_dataset(load_nnunet(real_data / "hippocampus"))
    folder = real_data / "headneck"
    check_dataset(
        load_folders(folder / "labelled", [folder / "unlabelled"], labels=folder / "labels.json")
    )
