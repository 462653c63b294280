from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.datasets.checks.cases import inspect_case
from dvcl.datasets.checks.repair import Repair, RepairOptions, repair_case
from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.volume import read_geometry, read_label, read_volume, write_volume
from dvcl.volume.turning import orient

TABLE = LabelTable((0, 1, 2), ("background", "liver", "spleen"))
AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])


@pytest.fixture
def case(tmp_path: Path, write_case) -> Case:
    return Case("a", *write_case(tmp_path / "raw", "a"), "labelled")


def repair(case: Case, out: Path, labels: LabelTable = TABLE, **options: float) -> Repair:
    report = inspect_case(case, Dataset("mine", "CT", (case,), labels))
    return repair_case(report, out, RepairOptions(**options), labels)


def findings(out: Path) -> list[str]:
    case = Case("a", out / "images" / "a.nii.gz", out / "labels" / "a.nii.gz", "labelled")
    report = inspect_case(case, Dataset("mine", "CT", (case,), TABLE))
    # Noise is no scan in HU.
    return [f.code for f in report.findings if f.code not in ("not-hu", "looks-like-ct")]


def moved(z: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[2, 3] += z
    return affine


def test_sound_files_are_copied_byte_by_byte(case: Case, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (case.image, case.label)}
    assert repair(case, tmp_path / "out") == Repair("a")
    for path, content in before.items():
        assert path.read_bytes() == content
        assert (tmp_path / "out" / path.parent.name / path.name).read_bytes() == content


def test_slight_shear_is_taken_out_of_image_and_label(
    case: Case, tmp_path: Path, write_image, write_label
) -> None:
    affine = AFFINE.copy()
    affine[0, 1] = 0.01
    write_image(case.image, affine=affine)
    write_label(case.label, affine=affine)
    changes = repair(case, tmp_path / "out").changes
    assert [change.split(": ")[1] for change in changes] == ["axes made right-angled"] * 2 + [
        "given the grid of its image, 0.013 mm away at the corners"
    ]
    assert findings(tmp_path / "out") == []
    assert np.array_equal(
        read_volume(tmp_path / "out/images/a.nii.gz").array, read_volume(case.image).array
    )


def test_both_transforms_agree_afterwards_and_three_axes_are_left(
    case: Case, tmp_path: Path
) -> None:
    array = np.random.default_rng(0).integers(-9, 9, (6, 5, 4, 1)).astype(np.int16)
    image = nibabel.Nifti1Image(array, AFFINE)
    image.set_qform(moved(3), 1)
    nibabel.save(image, case.image)
    assert len(repair(case, tmp_path / "out").changes) == 2
    written = nibabel.load(tmp_path / "out/images/a.nii.gz")
    assert written.shape == (6, 5, 4)
    assert written.get_data_dtype() == np.int16
    assert np.allclose(written.get_qform(), AFFINE)
    assert np.allclose(written.get_sform(), AFFINE)
    assert findings(tmp_path / "out") == []


def test_labels_become_whole_numbers(case: Case, tmp_path: Path, write_label) -> None:
    array = (np.arange(120).reshape(4, 5, 6) % 3).astype(np.float32)
    write_label(case.label, array + np.float32(3e-4))
    (change,) = repair(case, tmp_path / "out").changes
    assert change == f"{case.label}: values rounded to whole numbers"
    assert nibabel.load(tmp_path / "out/labels/a.nii.gz").get_data_dtype() == np.uint8
    assert np.array_equal(read_label(tmp_path / "out/labels/a.nii.gz").array, array)


def test_stray_values_are_replaced(case: Case, tmp_path: Path, write_label) -> None:
    write_label(case.label, np.full((4, 5, 6), 421, np.int16))
    table = LabelTable((0, 420), ("background", "liver"), ((421, 420),))
    (change,) = repair(case, tmp_path / "out", table).changes
    assert change == f"{case.label}: stray values replaced by those that they are read as"
    assert set(read_label(tmp_path / "out/labels/a.nii.gz").array.ravel()) == {420}


def test_nan_is_filled_only_on_demand(case: Case, tmp_path: Path, write_image) -> None:
    array = np.arange(120, dtype=np.float32).reshape(4, 5, 6) - 7
    array[2, 2] = np.nan, np.inf, -np.inf, np.nan, 5, 6
    write_image(case.image, array)
    left = repair(case, tmp_path / "out").left
    assert [finding.code for finding in left] == ["not-finite"]
    assert not (tmp_path / "out").exists()
    (change,) = repair(case, tmp_path / "out", fill_nan=True).changes
    assert "set to the least finite value" in change
    filled = read_volume(tmp_path / "out/images/a.nii.gz").array
    assert np.array_equal(filled, np.where(np.isfinite(array), array, -7))


@pytest.mark.parametrize(
    ("shift", "tolerance", "is_given"), [(0.3, 0.5, True), (2, 0.5, False), (2, 2.5, True)]
)
def test_a_label_near_enough_takes_the_images_grid(
    case: Case, tmp_path: Path, write_label, shift: float, tolerance: float, is_given: bool
) -> None:
    write_label(case.label, affine=moved(shift))
    done = repair(case, tmp_path / "out", tolerance_mm=tolerance)
    if is_given:
        assert f"given the grid of its image, {shift:g} mm away" in done.changes[0]
        assert np.allclose(read_geometry(tmp_path / "out/labels/a.nii.gz").affine, AFFINE)
    else:
        assert [finding.code for finding in done.left] == ["grid-mismatch"]


@pytest.mark.parametrize("tolerance_mm", [0.5, 200])
def test_a_label_of_other_axes_is_turned_and_no_organ_moves(
    case: Case, tmp_path: Path, tolerance_mm: float
) -> None:
    label = read_label(case.label)
    write_volume(case.label, orient(label, "SRA"))
    done = repair(case, tmp_path / "out", tolerance_mm=tolerance_mm)
    assert done.changes == (f"{case.label}: axes turned to those of its image",)
    mended = read_label(tmp_path / "out/labels/a.nii.gz")
    assert np.array_equal(mended.array, label.array)
    assert np.allclose(mended.affine, label.affine)


def test_a_rewritten_label_has_the_forms_of_its_image(
    case: Case, tmp_path: Path, write_label
) -> None:
    """An image that is copied keeps both of its forms, and other programs may take either."""
    image = nibabel.load(case.image)
    image.set_qform(AFFINE, 1)
    image.set_sform(AFFINE, 1)
    nibabel.save(image, case.image)
    write_label(case.label, np.full((4, 5, 6), 1.0003, np.float32))
    repair(case, tmp_path / "out")
    header = nibabel.load(tmp_path / "out/labels/a.nii.gz").header
    assert (header["qform_code"], header["sform_code"]) == (1, 1)


def test_what_cannot_be_corrected_is_left_out_with_its_reason(
    case: Case, tmp_path: Path, write_label
) -> None:
    write_label(case.label, np.full((4, 5, 6), 9, np.uint8))
    assert [finding.code for finding in repair(case, tmp_path / "out").left] == ["label-values"]
    case.image.write_bytes(b"no volume")
    codes = [finding.code for finding in repair(case, tmp_path / "out").left]
    assert codes == ["unreadable", "label-values"]
    assert not (tmp_path / "out").exists()


def test_labels_of_unlabelled_cases_are_not_copied(case: Case, tmp_path: Path) -> None:
    unlabelled = Case("a", case.image, case.label, "unlabelled")
    assert repair(unlabelled, tmp_path / "out") == Repair("a")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["images"]


def test_scaled_images_stay_small(case: Case, tmp_path: Path) -> None:
    """A CT with an intercept in its header is written as 16-bit HU, a fraction as float32."""
    for slope, dtype in ((1.0, np.int16), (0.37, np.float32)):
        image = nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(6, 5, 4), AFFINE)
        image.set_qform(moved(3), 1)
        image.header.set_slope_inter(slope, -1024)
        nibabel.save(image, case.image)
        repair(case, tmp_path / "out")
        written = nibabel.load(tmp_path / "out/images/a.nii.gz")
        assert written.get_data_dtype() == dtype
        assert np.allclose(read_volume(tmp_path / "out/images/a.nii.gz").array.min(), -1024)


def test_folders_of_masks_are_copied(case: Case, tmp_path: Path, write_label) -> None:
    masks = tmp_path / "raw" / "labels" / "b"
    for organ in ("liver", "spleen"):
        write_label(masks / f"{organ}.nii.gz", np.zeros((4, 5, 6), np.uint8))
    assert repair(Case("a", case.image, masks, "labelled"), tmp_path / "out") == Repair("a")
    copied = sorted(path.name for path in (tmp_path / "out/labels/b").iterdir())
    assert copied == ["liver.nii.gz", "spleen.nii.gz"]
