from pathlib import Path

import pytest

from dvcl.datasets.dataset import Case, Dataset, LabelTable, Role
from dvcl.errors import InputError
from dvcl.files import write_json
from dvcl.splits import Split, check_cases, make_split, read_split, write_split

FILE = Path("scan.nii.gz")
LABELS = LabelTable((0, 1), ("background", "liver"))


def cases(prefix: str, number: int, role: Role | None = None, label: bool = True) -> list[Case]:
    return [Case(f"{prefix}{n:03d}", FILE, FILE if label else None, role) for n in range(number)]


def dataset(*groups: list[Case]) -> Dataset:
    return Dataset("mine", "CT", tuple(case for group in groups for case in group), LABELS)


def test_splits_survive_json(tmp_path: Path) -> None:
    split = make_split(dataset(cases("l", 10), cases("u", 3, label=False)))
    write_split(tmp_path / "split.json", split)
    assert read_split(tmp_path / "split.json") == split


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "list"),
        ({"labelled": ["a"]}, "was expected"),
        ({"labelled": "a", "unlabelled": [], "validation": [], "test": [1], "seed": 0}, "'test'"),
        (
            {"labelled": [], "unlabelled": [], "validation": [], "test": [], "seed": 0, "val": []},
            "'val'",
        ),
    ],
)
def test_broken_split_files_are_explained(tmp_path: Path, value: object, message: str) -> None:
    write_json(tmp_path / "split.json", value)
    with pytest.raises(InputError, match=message):
        read_split(tmp_path / "split.json")


def test_a_missing_split_file_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`dvcl train` writes a split.json into the folder of ev"):
        read_split(tmp_path / "split.json")


def test_a_split_must_fit_its_data_set() -> None:
    data = dataset(cases("l", 2), cases("u", 2, "unlabelled", label=False))
    good = Split(("l000",), ("u000", "l001"), (), (), seed=0)
    check_cases(good, data)
    bad = Split((), ("u000", "u000"), ("u001",), ("x",), seed=0)
    with pytest.raises(InputError, match="'mine'") as error:
        check_cases(bad, data)
    assert [problem.split(";")[0] for problem in error.value.problems] == [
        "labelled: no case",
        "u000 (unlabelled): occurs 2 times.",
        "u001 (validation): has no label.",
        "x (test): no such case in the data set.",
    ]


@pytest.mark.parametrize("role", ["validation", "test"])
def test_predicted_labels_teach_but_judge_nothing(role: str) -> None:
    data = dataset(cases("l", 1), [Case("p", FILE, FILE, "labelled", pseudo_label=True)])
    check_cases(Split(("l000", "p"), (), (), (), seed=0), data)
    parts = {"unlabelled": (), "validation": (), "test": (), role: ("p",)}
    with pytest.raises(InputError, match=rf"p \({role}\): its label is predicted"):
        check_cases(Split(("l000",), **parts, seed=0), data)


def test_the_seed_of_a_split_is_a_number(tmp_path: Path) -> None:
    parts = {"labelled": ["a"], "unlabelled": [], "validation": [], "test": []}
    write_json(tmp_path / "split.json", {**parts, "seed": "x"})
    with pytest.raises(InputError, match=r"split\.json: the entry 'seed' is 'x'"):
        read_split(tmp_path / "split.json")
