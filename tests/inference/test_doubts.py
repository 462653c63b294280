"""Doubts about made-up scans and masks; then that sound real cases give none."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.datasets import load_folders, load_nnunet
from dvcl.datasets.dataset import Dataset
from dvcl.inference.doubts import mask_doubts, scan_doubts
from dvcl.inference.seen import (
    Organs,
    Seen,
    SeenOrgan,
    SeenScan,
    gather,
    look_at_organs,
    look_at_scan,
)
from dvcl.volume import read_label, read_volume

SCAN, MASK = Path("scan.nii.gz"), Path("mask.nii.gz")
NUMBERS = {
    "tissue": 30.0, "body_low": -300.0, "body_middle": 10.0, "body_high": 300.0,
    "spacing_z": 3.0, "spacing_y": 1.0, "spacing_x": 1.0,
    "field_z": 300.0, "field_y": 400.0, "field_x": 400.0,
    "section_small": 400.0, "section_middle": 500.0, "section_large": 600.0,
}  # fmt: skip
ORGANS: Organs = {
    "liver": SeenOrgan(1500.0, (60.0, 0.0, 50.0), 0.0, False),
    "left kidney": SeenOrgan(160.0, (-60.0, -40.0, 10.0), 0.0, False),
    "right kidney": SeenOrgan(150.0, (60.0, -40.0, 0.0), 0.0, False),
    "spleen": SeenOrgan(200.0, (-80.0, -30.0, 60.0), 0.05, False),
}


def people(count: int = 4) -> Seen:
    """What a run has seen of people who differ by a tenth."""
    random = np.random.default_rng(0)

    def varied(value: float) -> float:
        return value * random.uniform(0.9, 1.1)

    scans = [SeenScan({name: varied(x) for name, x in NUMBERS.items()}) for _ in range(count)]
    maps = [
        {
            name: replace(
                organ,
                volume_ml=varied(organ.volume_ml),
                centre_mm=tuple(mm + random.uniform(-5, 5) for mm in organ.centre_mm),
            )
            for name, organ in ORGANS.items()
        }
        for _ in range(count)
    ]
    return gather("CT", count, scans, maps)


@pytest.mark.parametrize("count", [4, 40])
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"tissue": 1054.0}, "unlike-intensities"),
        ({"body_middle": -600.0}, "unlike-intensities"),
        ({"spacing_z": 40.0}, "unlike-spacing"),
        ({"field_y": 30.0}, "unlike-field"),
        ({"field_z": 1900.0}, "unlike-field"),
        ({"section_middle": 100.0}, "unlike-body"),
        ({}, None),
        ({"tissue": 60.0, "spacing_z": 5.0, "field_z": 200.0, "section_middle": 700.0}, None),
    ],
)
def test_a_scan(changed: dict[str, float], code: str | None, count: int) -> None:
    doubts = scan_doubts(SCAN, SeenScan(NUMBERS | changed), people(count))
    assert [doubt.code for doubt in doubts] == ([code] if code else [])
    assert all(doubt.where == str(SCAN) for doubt in doubts)


def moved(name: str, *mm: float) -> Organs:
    organ = ORGANS[name]
    centre = tuple(np.add(organ.centre_mm, mm).tolist())
    return {**ORGANS, name: replace(organ, centre_mm=centre)}


def changed(name: str, **values: float) -> Organs:
    return {**ORGANS, name: replace(ORGANS[name], **values)}


KIDNEYS_EXCHANGED = {
    **ORGANS,
    "left kidney": ORGANS["right kidney"],
    "right kidney": ORGANS["left kidney"],
}


@pytest.mark.parametrize("count", [4, 40])
@pytest.mark.parametrize(
    ("organs", "code", "words"),
    [
        (ORGANS, None, ""),
        (moved("spleen", 10, 10, 10), None, ""),
        (changed("spleen", volume_ml=400), None, ""),
        (changed("spleen", volume_ml=2, at_border=True), None, "a part may be any size"),
        (changed("spleen", volume_ml=2), "organ-volume", "spleen has 2 ml"),
        (changed("liver", volume_ml=30_000, at_border=True), "organ-volume", "liver has 3e+04 ml"),
        (
            changed("liver", scattered=0.4),
            "organ-parts",
            "40% of its volume lies outside the largest one",
        ),
        ({"liver": ORGANS["liver"]}, "organ-missing", "no left kidney, no right kidney, no spleen"),
        ({}, "organ-missing", "all"),
        (moved("spleen", 0, 0, 500), "organ-far", "mm from where the training label maps have it"),
        (KIDNEYS_EXCHANGED, "organs-exchanged", "nearer to the right than right kidney"),
    ],
)
def test_a_mask(organs: Organs, code: str | None, words: str, count: int) -> None:
    doubts = mask_doubts(MASK, organs, people(count))
    codes = [doubt.code for doubt in doubts]
    if code is None:
        assert codes == []
    else:
        assert codes[0] == code
        assert words in doubts[0].text
        assert codes.count(code) == 1
        assert all(doubt.where == str(MASK) for doubt in doubts)


def test_nothing_seen_gives_no_doubts_but_what_a_file_itself_shows() -> None:
    nothing = gather("CT", 0, [], [])
    assert scan_doubts(SCAN, SeenScan(NUMBERS), nothing) == []
    assert mask_doubts(MASK, ORGANS, nothing) == []


def look(dataset: Dataset) -> list[tuple[SeenScan, Organs]]:
    """At all cases of a data set that have a label."""
    looked = []
    for case in dataset.cases:
        if case.label is None:
            continue
        scan = look_at_scan(case.image, read_volume(case.image), dataset.modality)
        label = read_label(case.label)
        classes = dataset.labels.encode(label.array)
        looked.append((scan, look_at_organs(classes, label.geometry, dataset.labels)))
    return looked


@pytest.fixture(scope="module")
def head_and_neck(real_data: Path) -> Dataset:
    folder = real_data / "headneck"
    return load_folders(
        folder / "labelled", [], folder / "val", folder / "test", folder / "labels.json"
    )


def seen_of(looked: list[tuple[SeenScan, Organs]], dataset: Dataset) -> Seen:
    scans, label_maps = zip(*looked, strict=True)
    return gather(dataset.modality, len(looked), list(scans), list(label_maps))


@pytest.mark.parametrize("layout", ["head and neck", "hippocampus"])
def test_any_four_real_cases_raise_no_doubt_about_the_others(
    layout: str, real_data: Path, request: pytest.FixtureRequest
) -> None:
    if layout == "hippocampus":
        dataset = load_nnunet(real_data / "hippocampus")
    else:
        dataset = request.getfixturevalue("head_and_neck")
    looked = look(dataset)
    random = np.random.default_rng(0)
    for _ in range(3):
        order = random.permutation(len(looked))
        seen = seen_of([looked[index] for index in order[:4]], dataset)
        for index in order[4:]:
            scan, organs = looked[index]
            assert scan_doubts(SCAN, scan, seen) == []
            assert mask_doubts(MASK, organs, seen) == []


Change = Callable[[Path, Path], Path]


def rewritten(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def write(source: Path, target: Path) -> Path:
        image = nibabel.load(source)
        nibabel.save(
            nibabel.Nifti1Image(change(image.get_fdata().astype(np.float32)), image.affine), target
        )
        return target

    return write


def without_forms(source: Path, target: Path) -> Path:
    image = nibabel.load(source)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), None, image.header), target)
    return target


def with_forms_apart(source: Path, target: Path) -> Path:
    image = nibabel.load(source)
    away = image.affine.copy()
    away[:3, 3] += 173.2
    image.set_qform(away, 1)
    image.set_sform(image.affine, 1)
    nibabel.save(image, target)
    return target


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (rewritten(lambda array: array + 1024), {"hu-offset", "unlike-intensities"}),
        (rewritten(lambda array: (array + 1024) / 4096), {"not-hu"}),
        (without_forms, {"no-forms"}),
        (with_forms_apart, {"forms-differ"}),
    ],
)
def test_doubtful_files(
    change: Change, codes: set[str], head_and_neck: Dataset, tmp_path: Path
) -> None:
    cases = head_and_neck.with_role("labelled")[:4]
    seen = seen_of(look(replace(head_and_neck, cases=cases)), head_and_neck)
    source = head_and_neck.with_role("test")[0].image
    path = change(source, tmp_path / "scan.nii.gz")
    scan = look_at_scan(path, read_volume(path), "CT")
    doubts = scan_doubts(path, scan, seen)
    assert {doubt.code for doubt in doubts} == codes
    # What is not defined, as tissue among values from 0 to 1, does not spoil the record.
    json.dumps([doubt.to_json() for doubt in doubts], allow_nan=False)


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        ("abdomen/ct.nii.gz", "unlike-body"),
        ("abdomen/dicom", "unlike-body"),
        ("hippocampus/imagesTr/hippocampus_003_0000.nii.gz", "not-hu"),
    ],
)
def test_scans_of_another_kind(
    scan: str, code: str, head_and_neck: Dataset, real_data: Path
) -> None:
    cases = head_and_neck.with_role("labelled")
    seen = seen_of(look(replace(head_and_neck, cases=cases)), head_and_neck)
    path = real_data / scan
    if path.is_dir():
        pytest.importorskip("pydicom")
    found = scan_doubts(path, look_at_scan(path, read_volume(path), "CT"), seen)
    assert code in {doubt.code for doubt in found}


def test_mirrored_and_exchanged_masks(head_and_neck: Dataset) -> None:
    """Of every case, by the others."""
    looked = look(head_and_neck)
    for index, (_, organs) in enumerate(looked):
        seen = seen_of(looked[:index] + looked[index + 1 :], head_and_neck)
        exchanged = {
            **organs,
            "LeftParotid": organs["RightParotid"],
            "RightParotid": organs["LeftParotid"],
        }
        mirrored = {
            name: replace(organ, centre_mm=tuple(np.multiply(organ.centre_mm, (-1, 1, 1))))
            for name, organ in organs.items()
        }
        for wrong in (exchanged, mirrored):
            assert "organs-exchanged" in {found.code for found in mask_doubts(MASK, wrong, seen)}
