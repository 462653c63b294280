from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.linalg import polar

from dvcl.datasets.checks.finding import Finding
from dvcl.datasets.checks.grids import grid_findings, pair_findings, right_angled, shear_mm
from dvcl.volume import Geometry, Volume, read_geometry, read_volume
from dvcl.volume.turning import orient

AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])
SHAPE = (11, 21, 31)


def sheared(amount: float) -> Geometry:
    affine = AFFINE.copy()
    affine[0, 2] = amount
    return Geometry(SHAPE, affine)


def save(path: Path, array: np.ndarray | None = None, **forms: np.ndarray | None) -> Path:
    """A NIfTI file with the given sform and qform; None leaves one out."""
    image = nibabel.Nifti1Image(np.zeros((5, 6, 7), np.int16) if array is None else array, AFFINE)
    for name, matrix in forms.items():
        set_form = getattr(image, f"set_{name}")
        set_form(matrix, code=0 if matrix is None else 1)
    nibabel.save(image, path)
    return path


def found(path: Path) -> list[Finding]:
    return list(grid_findings(path, read_geometry(path)))


def test_the_nearest_right_angled_grid_against_scipy() -> None:
    random = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([1.0, 2.0, 3.0]) @ (np.eye(3) + 0.1 * random.random((3, 3)))
    right = right_angled(Geometry(SHAPE, affine))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    rotation, _ = polar(affine[:3, :3] / spacing)
    assert np.allclose(right.affine[:3, :3], rotation * spacing)
    assert np.allclose(right.spacing_mm, spacing[::-1])
    centre = [(n - 1) / 2 for n in SHAPE[::-1]] + [1]
    assert np.allclose(right.affine @ centre, affine @ centre)
    assert shear_mm(right) < 1e-9


def test_shear_is_measured_at_the_corners() -> None:
    """A lean of 0.04 mm per slice, shared out between both axes by the nearest rotation."""
    geometry = sheared(0.04)
    right = right_angled(geometry)
    assert shear_mm(geometry) == pytest.approx(geometry.corner_distance_mm(right))
    assert 0.1 < shear_mm(geometry) < 0.5


@pytest.mark.parametrize(
    ("amount", "codes"), [(0, []), (0.001, ["slightly-sheared"]), (0.2, ["sheared"])]
)
def test_shear_is_negligible_repaired_or_refused(amount: float, codes: list[str]) -> None:
    findings = list(grid_findings(Path("a.mha"), sheared(amount)))
    assert [finding.code for finding in findings] == codes
    if codes:
        assert findings[0].numbers["distance_mm"] == pytest.approx(shear_mm(sheared(amount)))


def test_transforms_that_agree_are_no_finding(tmp_path: Path) -> None:
    assert found(save(tmp_path / "a.nii", sform=AFFINE, qform=AFFINE)) == []
    assert found(save(tmp_path / "a.nii", sform=AFFINE, qform=None)) == []
    assert found(save(tmp_path / "a.nii", sform=None, qform=AFFINE)) == []


def test_transforms_that_differ_are_told_in_mm(tmp_path: Path) -> None:
    other = AFFINE.copy()
    other[2, 3] += 3
    (finding,) = found(save(tmp_path / "a.nii.gz", sform=AFFINE, qform=other))
    assert finding.code == "forms-differ"
    assert "up to 3.00 mm apart; the sform counts" in finding.text
    (finding,) = found(
        save(tmp_path / "a.nii", sform=AFFINE, qform=AFFINE @ np.diag([-1, -1, 1, 1]))
    )
    assert "sform (LPS) and qform (RAS)" in finding.text


@pytest.mark.parametrize("value", [0.9, np.nan])
def test_a_qform_that_is_no_rotation_is_told(tmp_path: Path, value: float) -> None:
    path = save(tmp_path / "a.nii", sform=AFFINE, qform=AFFINE)
    header = nibabel.load(path).header
    header["quatern_b"] = header["quatern_c"] = value
    content = path.read_bytes()
    path.write_bytes(header.binaryblock + content[len(header.binaryblock) :])
    (finding,) = found(path)
    assert finding.text == "the qform of the header is no rotation; the sform counts."


def test_no_transform_at_all_is_told(tmp_path: Path) -> None:
    (finding,) = found(save(tmp_path / "a.nii", sform=None, qform=None))
    assert finding.code == "no-forms"
    assert "neither sform nor qform" in finding.text


def test_a_fourth_axis_is_told(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((5, 6, 7, 1), np.int16), sform=AFFINE, qform=AFFINE)
    (finding,) = found(path)
    assert finding.code == "fourth-axis"
    assert "5 x 6 x 7 x 1" in finding.text
    assert read_volume(path).shape == (7, 6, 5)


def test_a_pair_must_have_one_size_and_place() -> None:
    image, path = Geometry(SHAPE, AFFINE), Path("i.nii")
    assert list(pair_findings(path, image, Path("l.nii"), image)) == []
    smaller = Geometry((10, 21, 31), AFFINE)
    (finding,) = pair_findings(path, image, Path("l.nii"), smaller)
    assert finding.code == "size-mismatch"
    moved = AFFINE.copy()
    moved[1, 3] += 0.7
    (finding,) = pair_findings(path, image, Path("l.nii"), Geometry(SHAPE, moved))
    assert finding.code == "grid-mismatch"
    assert finding.numbers["distance_mm"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("away_mm", "code"), [(0, "axes-differ"), (0.3, "axes-differ"), (0.7, "grid-mismatch")]
)
def test_a_pair_of_other_axes_is_compared_in_space(away_mm: float, code: str) -> None:
    """Axes LPS and ASR; what is wrong is what is left when they are turned alike."""
    image, path = Geometry(SHAPE, AFFINE), Path("i.nii")
    label = orient(Volume(np.zeros(SHAPE), AFFINE), "ASR").geometry
    label.affine[2, 3] += away_mm
    (finding,) = pair_findings(path, image, Path("l.nii"), label)
    assert finding.code == code
    if code == "grid-mismatch":
        assert finding.numbers["distance_mm"] == pytest.approx(away_mm)
    else:
        assert "its axes are ASR, those of its image LPS" in finding.text
