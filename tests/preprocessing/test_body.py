"""The body is found with its air inside, and without the table."""

import numpy as np
import pytest

from dvcl.preprocessing.body import body_mask, coarse_steps, looks_like_hu
from dvcl.volume import Volume


def patient(air: float, tissue: float) -> np.ndarray:
    """An ellipse with a lung and, apart from it, a table."""
    y, x = np.mgrid[:40, :50]
    plane = np.where(((y - 15) / 12) ** 2 + ((x - 25) / 20) ** 2 < 1, tissue, air)
    plane[12:18, 20:28] = air
    plane[35:38, 5:45] = tissue
    return np.repeat(plane[None], 6, axis=0).astype(np.float32)


@pytest.mark.parametrize(
    ("air", "tissue", "modality"), [(-1000, 40, "CT"), (0, 1064, "CT"), (3, 400, "MR")]
)
def test_lungs_belong_to_the_body_and_the_table_does_not(air, tissue, modality):
    mask = body_mask(patient(air, tissue), modality)
    assert mask[:, 12:18, 20:28].all()
    assert not mask[:, 33:].any()
    assert not mask[:, :, 0].any()


def test_noise_of_mr_is_not_the_body():
    noise = np.random.default_rng(0).normal(0, 5, (6, 40, 50)).astype(np.float32)
    mask = body_mask(patient(20, 400) + noise, "MR")
    assert not mask[:, 33:].any()


def test_a_ct_of_nothing_but_air_is_all_body():
    assert body_mask(np.full((3, 4, 5), -1000.0), "CT").all()


def test_hu_have_air_far_below_zero():
    assert looks_like_hu(np.array([-1024.0, 300.0]))
    assert not looks_like_hu(np.array([0.0, 1324.0]))


def test_coarse_steps_of_a_large_scan_are_about_three_millimetres():
    affine = np.diag([0.7, 1.0, 5.0, 1.0])
    large = Volume(np.broadcast_to(np.float32(0), (50, 300, 300)), affine)
    assert [part.step for part in coarse_steps(large)] == [1, 3, 4]
    small = Volume(np.broadcast_to(np.float32(0), (50, 100, 100)), affine)
    assert [part.step for part in coarse_steps(small)] == [1, 1, 1]
