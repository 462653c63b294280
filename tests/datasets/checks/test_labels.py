from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.datasets.checks.labels import empty_findings, measure_organs, rounding_findings
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.volume import Geometry

TABLE = LabelTable((0, 1, 5, 7), ("background", "liver", "spleen", "aorta"))


def test_organs_against_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    classes = np.zeros((6, 7, 8), np.uint8)
    classes[1:-1, 1:-1, 1:-1] = random.integers(0, 3, (4, 5, 6))
    classes[0, 3, 3] = 2
    affine = np.array([[0, -2.0, 0.1, 5], [1.5, 0, 0, 1], [0, 0, 3.0, 2], [0, 0, 0, 1]])
    organs = measure_organs(classes, Geometry(classes.shape, affine), TABLE)
    assert list(organs) == ["liver", "spleen"]
    for index, name in ((1, "liver"), (2, "spleen")):
        world = [affine @ (x, y, z, 1) for z, y, x in np.argwhere(classes == index)]
        assert organs[name].voxels == len(world)
        assert organs[name].x_mm == pytest.approx(np.mean(world, axis=0)[0])
        assert organs[name].volume_ml == pytest.approx(len(world) * 1.5 * 2 * 3 / 1000)
    assert [organ.at_border for organ in organs.values()] == [False, True]


def test_nothing_but_background() -> None:
    nothing = measure_organs(np.zeros((3, 4, 5), np.uint8), Geometry((3, 4, 5), np.eye(4)), TABLE)
    assert nothing == {}
    assert [f.code for f in empty_findings(Path("a"), nothing)] == ["label-empty"]


def label_case(path: Path, array: np.ndarray, slope: float = 1.0) -> Case:
    image = nibabel.Nifti1Image(array, np.eye(4))
    image.header.set_slope_inter(slope, 0)
    nibabel.save(image, path)
    return Case("a", path, path, "labelled")


def test_round_off_is_told(tmp_path: Path) -> None:
    array = np.ones((3, 4, 5), np.float32)
    array[0, 0, :2] = 1.0004
    (finding,) = rounding_findings(label_case(tmp_path / "a.nii", array))
    assert finding.code == "label-rounded"
    assert finding.text.startswith("2 voxels are off whole numbers by up to 0.0004")
    scaled = label_case(tmp_path / "b.nii", np.full((3, 4, 5), 51, np.uint8), 1 / 51.001)
    assert [f.code for f in rounding_findings(scaled)] == ["label-rounded"]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_whole_numbers_are_no_finding(tmp_path: Path, dtype: type) -> None:
    case = label_case(tmp_path / "a.nii", np.ones((3, 4, 5), dtype))
    assert list(rounding_findings(case)) == []
    assert list(rounding_findings(Case("a", tmp_path / "a.nii"))) == []
