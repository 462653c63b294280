"""Trees that imitate the published data sets as distributed, with what lies about in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets import LAYOUTS, load_amos22, load_btcv, load_flare22, load_mmwhs
from dvcl.datasets.amos22 import AMOS22
from dvcl.datasets.btcv import BTCV
from dvcl.datasets.checks import inspect_dataset
from dvcl.datasets.dataset import Dataset, LabelTable
from dvcl.datasets.flare22 import FLARE22
from dvcl.datasets.mmwhs import MMWHS
from dvcl.errors import InputError

PUBLISHED = (FLARE22, AMOS22, BTCV, MMWHS)


def touch(folder: Path, names: Iterable[str]) -> None:
    """Empty files: the loaders look at names alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def roles(dataset: Dataset) -> tuple[int, int]:
    """Labelled cases without a role, unlabelled ones; there are no others."""
    free, unlabelled = dataset.with_role(None), dataset.with_role("unlabelled")
    assert all(case.label for case in free)
    assert not any(case.label for case in unlabelled)
    assert len(free) + len(unlabelled) == len(dataset.cases)
    return len(free), len(unlabelled)


def problems_of(name: str, folder: Path, *arguments: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        LAYOUTS[name](folder, *arguments)  # type: ignore[arg-type]
    return caught.value.problems


@pytest.fixture
def flare(tmp_path: Path) -> Path:
    training = tmp_path / "FLARE2022" / "Training"
    labelled = training / "FLARE22_LabeledCase50"
    numbers = [f"{number:04d}" for number in range(1, 51)]
    touch(labelled / "images", [f"FLARE22_Tr_{n}_0000.nii.gz" for n in numbers])
    touch(labelled / "images", ["._FLARE22_Tr_0001_0000.nii.gz", ".DS_Store", "list.txt"])
    touch(labelled / "labels", [f"FLARE22_Tr_{n}.nii.gz" for n in numbers])
    for first, last in ((1, 3), (1001, 1002)):
        names = [f"Case_{n:05d}_0000.nii.gz" for n in range(first, last + 1)]
        touch(training / f"FLARE22_UnlabeledCase{first}-{first + 999}", names)
    touch(training, ["FLARE22_UnlabeledCase1-1000.zip", "readme.txt"])
    tuning = tmp_path / "FLARE2022" / "Tuning"
    touch(tuning / "images", [f"FLARETs_{n:04d}_0000.nii.gz" for n in range(1, 6)])
    touch(tuning / "labels", [f"FLARETs_{n:04d}.nii.gz" for n in range(1, 4)])
    touch(tmp_path / "FLARE2022" / "Testing", ["FLARETs_0001_0000.nii.gz"])
    return tmp_path / "FLARE2022"


@pytest.fixture
def amos(tmp_path: Path) -> Path:
    folder = tmp_path / "amos22"
    scans = {
        "Tr": [*range(1, 400, 2), *range(507, 547)],
        "Va": [*range(2, 202, 2), *range(550, 570)],
        "Ts": [*range(202, 212, 2), 571, 600],
    }
    for part, numbers in scans.items():
        names = [f"amos_{number:04d}.nii.gz" for number in numbers]
        touch(folder / f"images{part}", [*names, "._amos_0001.nii.gz", "Thumbs.db"])
        if part != "Ts":
            touch(folder / f"labels{part}", names)
    touch(folder, ["dataset.json", "readme.md"])
    return folder


@pytest.fixture
def btcv(tmp_path: Path) -> Path:
    training, testing = tmp_path / "RawData" / "Training", tmp_path / "RawData" / "Testing"
    numbers = [*range(1, 11), *range(21, 41)]
    touch(training / "img", [f"img{n:04d}.nii.gz" for n in numbers])
    touch(training / "label", [f"label{n:04d}.nii.gz" for n in numbers])
    touch(training / "img", [".img0099.nii.gz", "img0001.png"])
    touch(testing / "img", [f"img{n:04d}.nii.gz" for n in range(61, 81)])
    return tmp_path / "RawData"


@pytest.fixture
def mmwhs(tmp_path: Path) -> Path:
    folder = tmp_path / "MMWHS"
    for kind in ("ct", "mr"):
        names = [
            f"{kind}_train_{n}_{what}" for n in range(1001, 1021) for what in ("image", "label")
        ]
        touch(folder / f"{kind}_train", [f"{name}.nii.gz" for name in names])
        touch(folder / f"{kind}_train", ["._ct_train_1001_image.nii.gz", "readme.pdf"])
        tests = [f"{kind}_test_{n}_image.nii.gz" for n in range(2001, 2041)]
        touch(folder / f"{kind}_test", tests)
    return folder


def test_flare22(flare: Path) -> None:
    dataset = load_flare22(flare)
    assert (dataset.name, dataset.modality) == ("flare22", "CT")
    assert roles(dataset) == (50 + 3, 5 + 2)
    cases = {case.id: case for case in dataset.cases}
    first = cases["FLARE22_Tr_0001"]
    assert first.image.name == "FLARE22_Tr_0001_0000.nii.gz"
    assert first.label == flare / "Training/FLARE22_LabeledCase50/labels/FLARE22_Tr_0001.nii.gz"
    assert cases["FLARETs_0001"].image.parent == flare / "Tuning" / "images"
    assert cases["Case_01002"].image.parent.name == "FLARE22_UnlabeledCase1001-2000"
    assert dataset.labels.values == tuple(range(14))
    assert dataset.labels.names[13] == "left kidney"


def test_flare22_without_tuning_and_with_that_of_the_first_release(flare: Path) -> None:
    shutil.rmtree(flare / "Tuning")
    assert roles(load_flare22(flare)) == (50, 5)
    touch(flare / "Validation", [f"FLARETs_{n:04d}_0000.nii.gz" for n in range(1, 51)])
    assert roles(load_flare22(flare)) == (50, 55)


@pytest.mark.parametrize("given", ["Training", "FLARE22Train", "its parent"])
def test_flare22_as_most_people_have_it(flare: Path, given: str, tmp_path: Path) -> None:
    if given == "Training":
        assert roles(load_flare22(flare / "Training")) == (50, 5)
        return
    shutil.move(flare / "Training" / "FLARE22_LabeledCase50", tmp_path / "flare" / "FLARE22Train")
    folder = tmp_path / "flare"
    assert roles(load_flare22(folder if given == "its parent" else folder / given)) == (50, 0)


def test_parts_of_flare22_that_are_still_packed_are_named(flare: Path) -> None:
    assert load_flare22(flare).notes == ()
    part = flare / "Training" / "FLARE22_UnlabeledCase501-1000.zip"
    part.touch()
    (note,) = load_flare22(flare).notes
    assert note.startswith(f"{part}: is still packed")
    shutil.rmtree(flare / "Training" / "FLARE22_LabeledCase50")
    packed = flare / "Training" / "FLARE22_LabeledCase50.zip"
    packed.touch()
    (problem,) = problems_of("flare22", flare)
    assert problem.startswith(f"{packed}: the labelled cases are still packed")
    assert "Unpack it there" in problem


def test_one_case_in_two_files_is_named(flare: Path) -> None:
    images = flare / "Training" / "FLARE22_LabeledCase50" / "images"
    touch(images, ["FLARE22_Tr_0003_0000.nii"])
    (problem,) = problems_of("flare22", flare)
    assert "FLARE22_Tr_0003_0000.nii is the same case" in problem


def test_flare22_lacks_cases(flare: Path) -> None:
    labelled = flare / "Training" / "FLARE22_LabeledCase50"
    (labelled / "labels" / "FLARE22_Tr_0003.nii.gz").unlink()
    (labelled / "images" / "FLARE22_Tr_0050_0000.nii.gz").unlink()
    problems = problems_of("flare22", flare)
    assert [problem.partition(":")[0].rpartition("/")[2] for problem in problems] == [
        "FLARE22_Tr_0003_0000.nii.gz", "FLARE22_Tr_0050.nii.gz", "FLARE22_LabeledCase50",
    ]  # fmt: skip
    assert "has no label" in problems[0]
    assert "has no image" in problems[1]
    assert "48 cases with image and label found, 50 expected" in problems[2]
    assert "missing: FLARE22_Tr_0003, FLARE22_Tr_0050" in problems[2]


def test_amos22_is_ct_unless_asked_otherwise(amos: Path) -> None:
    ct, mr = load_amos22(amos), load_amos22(amos, "MR")
    assert (ct.modality, mr.modality) == ("CT", "MR")
    assert roles(ct) == (300, 5)
    assert roles(mr) == (60, 2)
    assert ct.cases[0].image == amos / "imagesTr" / "amos_0001.nii.gz"
    assert ct.cases[0].label == amos / "labelsTr" / "amos_0001.nii.gz"
    assert all(int(case.id[-4:]) >= 500 for case in mr.cases)
    assert ct.labels.organs[-2:] == ("bladder", "prostate or uterus")


def test_amos22_lacks_cases(amos: Path) -> None:
    (amos / "imagesVa" / "amos_0002.nii.gz").unlink()
    (amos / "labelsVa" / "amos_0002.nii.gz").unlink()
    (problem,) = problems_of("amos22", amos)
    assert problem.startswith(f"{amos / 'imagesVa'}: 99 cases with image and label found, 100 exp")
    assert roles(load_amos22(amos, "MR")) == (60, 2)


def test_btcv(btcv: Path) -> None:
    dataset = load_btcv(btcv)
    assert roles(dataset) == (30, 20)
    case = dataset.cases[10]
    assert case.id == "img0021"
    assert case.label == btcv / "Training" / "label" / "label0021.nii.gz"
    # The paper's 13 organs: no duodenum, but the portal and splenic veins.
    assert "duodenum" not in dataset.labels.organs
    assert dataset.labels.names[10] == "portal and splenic veins"


def test_mmwhs(mmwhs: Path) -> None:
    dataset = load_mmwhs(mmwhs)
    assert (dataset.modality, roles(dataset)) == ("CT", (20, 40))
    assert dataset.cases[0].id == "ct_train_1001"
    assert dataset.cases[0].label == mmwhs / "ct_train" / "ct_train_1001_label.nii.gz"
    assert dataset.labels.values == (0, 205, 420, 500, 550, 600, 820, 850)
    mr = load_mmwhs(mmwhs, "MR")
    assert (mr.modality, roles(mr)) == ("MR", (20, 40))
    assert mr.cases[-1].id == "mr_test_2040"


def test_the_stray_value_of_mmwhs_is_read_as_the_left_atrium_and_counted(
    mmwhs: Path, write_image
) -> None:
    values = np.zeros((4, 5, 6), np.int16)
    values[1, 1], values[2, 2, :3] = 420, 421
    case = load_mmwhs(mmwhs).cases[0]
    write_image(case.image)
    write_image(case.label, values)
    labels = MMWHS.labels
    assert set(np.unique(labels.encode(values)).tolist()) == {0, 2}
    assert labels.decode(labels.encode(values)).max() == 420
    inspection = inspect_dataset(Dataset("mmwhs", "CT", (case,), labels))
    (finding,) = [f for f in inspection.findings if f.code == "label-alias"]
    assert "3 voxels have the stray value 421, read as 420 (left atrium)" in finding.text
    assert finding.numbers["voxels"] == 3
    with pytest.raises(InputError, match=r"label values 422 \(120 voxels\)"):
        labels.encode(np.full((4, 5, 6), 422))


def test_aliases_survive_json_and_bytes_take_them_too() -> None:
    table = LabelTable.from_mapping({3: "liver", 7: "spleen"}, {8: 7, 200: 3})
    assert table.to_json()["8"] == "spleen"
    assert LabelTable.from_json(table.to_json()) == table
    assert LabelTable.from_json(MMWHS.labels.to_json()) == MMWHS.labels
    for dtype in (np.uint8, np.int32):
        found = table.encode(np.array([[[0, 3, 7, 8, 200]]], dtype))
        assert found.tolist() == [[[0, 1, 2, 2, 1]]]


@pytest.mark.parametrize("aliases", [{7: 3}, {8: 9}, {70000: 3}])
def test_aliases_that_do_not_fit(aliases: dict[int, int]) -> None:
    with pytest.raises(InputError, match="label table"):
        LabelTable.from_mapping({3: "liver", 7: "spleen"}, aliases)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flare22", "Training/FLARE22_LabeledCase*/images"),
        ("amos22", "imagesTr, labelsTr, imagesVa, labelsVa"),
        ("btcv", "Training/img, Training/label"),
        ("mmwhs", "ct_train/ct_train_*_image.nii*"),
    ],
)
def test_a_wrong_folder_says_what_was_expected_and_what_lies_there(
    name: str, expected: str, tmp_path: Path
) -> None:
    touch(tmp_path, ["amos22.zip", "notes.txt"])
    (problem,) = problems_of(name, tmp_path)
    assert problem.startswith(f"{tmp_path}: is not ")
    assert expected in problem
    assert "(amos22.zip, notes.txt)" in problem
    assert "Unpack the archives first." in problem
    (problem,) = problems_of(name, tmp_path / "nowhere")
    assert "found no such folder" in problem


def test_the_right_folder_one_level_down_is_pointed_at(btcv: Path) -> None:
    (problem,) = problems_of("btcv", btcv.parent)
    assert f"Perhaps {btcv}?" in problem


@pytest.mark.parametrize("name", ["flare22", "btcv"])
def test_no_mr_where_there_is_none(name: str, tmp_path: Path) -> None:
    (problem,) = problems_of(name, tmp_path, "MR")
    assert problem == f"{name}: modality 'MR' found; CT expected. Leave out --modality."


@pytest.mark.parametrize("record", PUBLISHED, ids=lambda record: record.name)
def test_every_record_is_complete(record) -> None:
    assert record.name in LAYOUTS
    assert record.page.startswith("https://")
    assert record.citation
    assert record.licence


def test_the_papers_organs() -> None:
    assert [len(record.organs) for record in PUBLISHED] == [13, 15, 13, 7]
    assert set(AMOS22.organs.values()) - set(FLARE22.organs.values()) == {
        "bladder", "prostate or uterus",
    }  # fmt: skip
    assert set(FLARE22.organs.values()) ^ set(BTCV.organs.values()) == {
        "duodenum", "portal and splenic veins",
    }  # fmt: skip
