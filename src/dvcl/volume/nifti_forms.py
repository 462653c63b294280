"""How a NIfTI header says where its voxels lie: two transforms, their codes, and the units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1Image, Nifti1Pair
from nibabel.nifti2 import Nifti2Image, Nifti2Pair

# The fields by name; of pixdim the sign of the qform and the voxel size.
FIELDS = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)
SIGN_AND_SPACING = slice(4)
# What the square of a quaternion's length may be above 1, as decimals and float32 round it.
QUATERNION_TOLERANCE = 1e-4

Forms = Mapping[str, np.ndarray]


class QuaternionError(ValueError):
    """A qform that is no rotation."""


def forms_of(header: Nifti1Header) -> Forms:
    """All that readers of any program place the voxels by, as it stands in a header."""
    return {"pixdim": header["pixdim"][SIGN_AND_SPACING].copy()} | {
        name: header[name].copy() for name in FIELDS
    }


def put_forms(forms: Forms, header: Nifti1Header) -> None:
    """Place the voxels of another header in the same way, for every reader."""
    header["pixdim"][SIGN_AND_SPACING] = forms["pixdim"]
    for name in FIELDS:
        header[name] = forms[name]


def tolerant(image_class: type[Nifti1Pair]) -> type[Nifti1Pair]:
    """The same class of images, which takes a quaternion that rounding has made too long.

    Its headers raise `QuaternionError` where that is not all.
    """

    class Header(image_class.header_class):  # type: ignore[misc, name-defined]
        def get_qform_quaternion(self) -> np.ndarray:
            axis = np.array([self[f"quatern_{name}"] for name in "bcd"], dtype=np.float64)
            excess = float(axis @ axis) - 1
            if excess > QUATERNION_TOLERANCE:
                raise QuaternionError(
                    f"the quaternion of its qform is ({', '.join(f'{n:.6g}' for n in axis)}), "
                    f"of the length {np.sqrt(excess + 1):.6g}; at most 1 was expected"
                )
            if excess > 0:  # a half turn, as ITK reads it; nibabel does so up to 3.6e-7
                return np.array([0, *axis / np.sqrt(excess + 1)])
            return np.asarray(super().get_qform_quaternion())

    return type(image_class.__name__, (image_class,), {"header_class": Header})


# In the order in which nibabel tries them.
NIFTI_CLASSES = tuple(map(tolerant, (Nifti1Pair, Nifti1Image, Nifti2Pair, Nifti2Image)))
