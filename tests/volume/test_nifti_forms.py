"""A mask lies on its scan in every reader, whatever forms the scan's header has."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dvcl.volume import Volume, read_volume, write_volume
from dvcl.volume.nifti_forms import FIELDS

sitk = pytest.importorskip("SimpleITK")

CODES = range(5)  # unknown, scanner, aligned, Talairach, MNI
MOST_APART_MM = 300


def affine(move_mm: float = 0, degrees: float = 20) -> np.ndarray:
    turn = Rotation.from_euler("xyz", (degrees, 10, -5), degrees=True).as_matrix()
    made = np.eye(4)
    made[:3, :3] = turn * (-0.7, -0.9, 2.5)
    made[:3, 3] = (100 + move_mm, 120, -30)
    return made


def scan(path: Path, qform_code: int, sform_code: int, units: int = 2, **layout) -> Path:
    """Both forms lie 300 mm apart, whichever of them the codes let count."""
    image_class = layout.get("image_class", nibabel.Nifti1Image)
    header = image_class.header_class(endianness=layout.get("endianness", "<"))
    header.set_data_shape((5, 6, 7))
    header.set_qform(affine(), qform_code)
    header.set_sform(affine(MOST_APART_MM, degrees=25), sform_code)
    header["xyzt_units"] = units
    header["qform_code"], header["sform_code"] = qform_code, sform_code
    array = np.arange(210, dtype=np.int16).reshape(5, 6, 7)
    nibabel.save(image_class(array, None, header), path)
    return path


def mask_of(path: Path, suffix: str = ".nii.gz") -> Path:
    image = read_volume(path)
    target = path.with_name(f"mask{suffix}")
    array = (image.array > 50).astype(np.uint8)
    write_volume(target, Volume(array, image.affine, image.forms))
    return target


def itk_corners(path: Path) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    corners = itertools.product(*((0, size - 1) for size in image.GetSize()))
    return np.array([image.TransformIndexToPhysicalPoint(corner) for corner in corners])


@pytest.mark.parametrize("sform_code", CODES)
@pytest.mark.parametrize("qform_code", CODES)
def test_every_reader_puts_the_mask_where_it_puts_the_scan(
    tmp_path: Path, qform_code: int, sform_code: int
) -> None:
    path = scan(tmp_path / "scan.nii.gz", qform_code, sform_code)
    mask = mask_of(path)
    assert np.array_equal(itk_corners(mask), itk_corners(path))
    assert np.array_equal(nibabel.load(mask).affine, nibabel.load(path).affine)
    for name in (*FIELDS, "pixdim"):
        wanted, found = (nibabel.load(file).header[name] for file in (path, mask))
        assert np.array_equal(found, wanted), name


@pytest.mark.parametrize("units", [0, 2, 10])
@pytest.mark.parametrize(
    "layout",
    [{}, {"endianness": ">"}, {"image_class": nibabel.Nifti2Image}],
    ids=["little", "big", "NIfTI-2"],
)
def test_units_byte_order_and_version_do_not_matter(tmp_path: Path, units: int, layout) -> None:
    path = scan(tmp_path / "scan.nii", 1, 1, units, **layout)
    mask = mask_of(path, ".nii")
    assert np.allclose(nibabel.load(mask).affine, nibabel.load(path).affine, atol=1e-4)
    assert nibabel.load(mask).header["xyzt_units"] == units
    assert nibabel.load(mask).get_data_dtype() == np.uint8
    assert nibabel.load(mask).shape == (5, 6, 7)


def test_a_scan_of_another_format_has_no_forms(tmp_path: Path) -> None:
    write_volume(tmp_path / "scan.nrrd", Volume(np.zeros((3, 4, 5), np.int16), affine()))
    assert read_volume(tmp_path / "scan.nrrd").forms is None
    assert np.allclose(
        itk_corners(mask_of(tmp_path / "scan.nrrd")), itk_corners(tmp_path / "scan.nrrd")
    )
