from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets.checks.intensities import measure_intensities, unit_findings, value_findings
from dvcl.datasets.dataset import Modality

PATH = Path("scan.nii.gz")


def ct(air: float = 0.5) -> np.ndarray:
    """Air, fat, muscle and some bone, in HU."""
    random = np.random.default_rng(0)
    tissue = random.choice([-100.0, 50.0, 700.0], 20_000, p=[0.3, 0.6, 0.1])
    is_air = random.random(20_000) < air
    return np.where(is_air, -1000.0, tissue) + random.normal(0, 15, 20_000)


def mr() -> np.ndarray:
    return np.abs(np.random.default_rng(0).normal(300, 150, 20_000))


def codes(array: np.ndarray, modality: Modality) -> list[str]:
    return [f.code for f in unit_findings(PATH, measure_intensities(array), modality)]


def test_the_tissue_peak_is_found() -> None:
    assert measure_intensities(ct()).tissue == pytest.approx(50, abs=25)
    assert np.isnan(measure_intensities(np.linspace(0, 400, 1000)).tissue)
    assert measure_intensities(np.array([0.0] * 999 + [1000.0])).tissue != 0


@pytest.mark.parametrize(
    "array",
    [ct(), ct(air=0.0), np.clip(ct(), -160, 240), np.clip(ct(), -1000, 1000)],
    ids=["whole", "no air", "soft tissue window", "wide window"],
)
def test_hu_are_no_finding(array: np.ndarray) -> None:
    assert codes(array, "CT") == []


@pytest.mark.parametrize("offset", [1024, -1024])
def test_an_offset_is_seen_with_air_and_tissue(offset: int) -> None:
    (finding,) = unit_findings(PATH, measure_intensities(ct() + offset), "CT")
    assert finding.code == "hu-offset"
    assert f"If {offset} was added" in finding.remedy
    assert "--modality MR" in finding.remedy, "an MR without negative values may look so too"


def test_a_ct_that_looks_like_mr_or_eight_bits() -> None:
    assert codes(mr(), "CT") == ["not-hu"]
    assert codes((np.clip(ct(), -160, 240) + 160) / 400 * 255, "CT") == ["not-hu"]


def test_an_mr_that_looks_like_ct() -> None:
    assert codes(ct(), "MR") == ["looks-like-ct"]
    assert codes(mr(), "MR") == []
    assert codes((mr() - 300) / 150, "MR") == []


def test_a_few_bad_voxels_have_a_share_above_nothing() -> None:
    array = np.zeros((30, 30, 30), np.float32)
    array[0, 0, 0] = np.nan
    (finding,) = value_findings(PATH, array)
    assert finding.text.startswith("1 voxel (under 0.01%) is NaN")
    assert finding.numbers["share"] == 1 / 27000


def test_an_image_with_contrast_is_no_finding() -> None:
    assert list(value_findings(PATH, ct())) == []
