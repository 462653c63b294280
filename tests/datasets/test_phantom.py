"""The phantom: anatomy in world space, HU, variation, and the folders it is written to."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from dvcl.datasets.phantom import ORGANS, make_phantom, phantom_case
from dvcl.datasets.phantom_anatomy import WITHOUT_GALLBLADDER, Patient
from dvcl.datasets.phantom_scanner import ORIENTATIONS
from dvcl.errors import InputError
from dvcl.volume import Volume, read_label, read_volume

Case = tuple[Volume, Volume]

SEEDS = range(4, 16)  # the fewest in a row in which every orientation occurs
SEED_WITHOUT_GALLBLADDER = 0
COARSE_MM = (9.0, 8.0, 8.0)
VALUES = {name: value for value, name in ORGANS.items()}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [phantom_case(seed) for seed in SEEDS]


def millilitres(label: Volume, name: str) -> float:
    return float((label.array == VALUES[name]).sum() * np.prod(label.spacing_mm) / 1000)


def centroid(label: Volume, name: str) -> np.ndarray:
    """World mm (x to the patient's right, y to the front, z up)."""
    z, y, x = np.argwhere(label.array == VALUES[name]).mean(0)
    return nibabel.affines.apply_affine(label.affine, [x, y, z])


def touch(label: Volume, first: str, second: str) -> bool:
    beside = ndimage.binary_dilation(label.array == VALUES[first])
    return bool((label.array[beside] == VALUES[second]).any())


def test_organs_are_those_of_flare22() -> None:
    assert list(ORGANS) == list(range(1, 14))
    assert (ORGANS[1], ORGANS[5], ORGANS[7], ORGANS[13]) == (
        "liver",
        "aorta",
        "right adrenal gland",
        "left kidney",
    )


def test_same_seed_gives_the_same_voxels_and_another_seed_does_not(cases: list[Case]) -> None:
    image, label = phantom_case(SEEDS[3])
    assert np.array_equal(image.array, cases[3][0].array)
    assert np.array_equal(label.array, cases[3][1].array)
    assert np.array_equal(image.affine, cases[3][0].affine)
    assert len({image.array.tobytes() for image, _ in cases}) == len(cases)


def test_image_and_label_lie_on_one_grid_of_the_asked_for_size(cases: list[Case]) -> None:
    for image, label in cases:
        assert image.array.dtype == np.int16
        assert label.array.dtype == np.uint8
        assert image.shape == label.shape
        assert image.geometry.corner_distance_mm(label.geometry) == 0
        assert np.allclose(image.spacing_mm, (5, 4, 4), rtol=0.1001)
        assert 50 <= image.shape[0] <= 75
        assert all(80 <= size <= 115 for size in image.shape[1:])


def test_another_spacing_scans_the_same_patient() -> None:
    _, fine = phantom_case(5, (4.0, 3.0, 3.0))
    _, coarse = phantom_case(5, (6.0, 5.0, 5.0))
    for name in ("liver", "spleen", "left kidney"):
        assert millilitres(coarse, name) == pytest.approx(millilitres(fine, name), rel=0.05)
        assert np.linalg.norm(centroid(coarse, name) - centroid(fine, name)) < 2


def test_every_organ_is_there_and_its_smallest_have_some_voxels(cases: list[Case]) -> None:
    for _, label in cases:
        missing = set(ORGANS) - set(np.unique(label.array).tolist())
        assert missing <= {VALUES["gallbladder"]}
        assert (label.array == VALUES["right adrenal gland"]).sum() >= 8
        assert (label.array == VALUES["left adrenal gland"]).sum() >= 8


def test_some_patients_have_no_gallbladder() -> None:
    drawn = [Patient(np.random.default_rng(seed)).organs for seed in range(200)]
    without = np.mean(["gallbladder" not in organs for organs in drawn])
    assert without == pytest.approx(WITHOUT_GALLBLADDER, abs=0.1)
    _, label = phantom_case(SEED_WITHOUT_GALLBLADDER)
    assert not (label.array == VALUES["gallbladder"]).any()


def test_liver_is_above_200_times_an_adrenal_gland(cases: list[Case]) -> None:
    liver = np.mean([millilitres(label, "liver") for _, label in cases])
    for side in ("right", "left"):
        adrenal = np.mean([millilitres(label, f"{side} adrenal gland") for _, label in cases])
        assert liver / adrenal > 200


def test_volumes_are_those_of_adults(cases: list[Case]) -> None:
    expected_ml = {"liver": (1100, 2000), "spleen": (80, 300), "pancreas": (35, 100),
                   "left kidney": (100, 250), "right kidney": (100, 250),
                   "gallbladder": (8, 60), "aorta": (50, 130)}  # fmt: skip
    for name, (low, high) in expected_ml.items():
        assert low < np.mean([millilitres(label, name) for _, label in cases]) < high, name


@pytest.mark.parametrize(
    ("right", "left"),
    [
        ("liver", "spleen"),
        ("liver", "stomach"),
        ("right kidney", "left kidney"),
        ("right adrenal gland", "left adrenal gland"),
        ("inferior vena cava", "aorta"),
        ("duodenum", "spleen"),
    ],
)
def test_right_organs_are_right_in_world_space(cases: list[Case], right: str, left: str) -> None:
    for _, label in cases:
        assert centroid(label, right)[0] > centroid(label, left)[0] + 5


def test_front_and_above_are_so_in_world_space(cases: list[Case]) -> None:
    for _, label in cases:
        assert centroid(label, "stomach")[1] > centroid(label, "aorta")[1]
        assert centroid(label, "pancreas")[1] > centroid(label, "left kidney")[1]
        assert centroid(label, "liver")[2] > centroid(label, "right kidney")[2]
        assert centroid(label, "esophagus")[2] > centroid(label, "pancreas")[2]


def test_all_orientations_and_small_tilts_occur(cases: list[Case]) -> None:
    grids = [label.geometry for _, label in cases]
    assert {grid.orientation for grid in grids} == set(ORIENTATIONS)
    tilts = [nibabel.affines.obliquity(grid.affine).max() for grid in grids]
    assert np.median(tilts) > np.deg2rad(1)
    assert max(tilts) < np.deg2rad(10)


def test_many_neighbours_touch(cases: list[Case]) -> None:
    pairs = [("liver", "inferior vena cava"), ("pancreas", "duodenum"), ("stomach", "duodenum"),
             ("esophagus", "stomach"), ("stomach", "liver"), ("right kidney", "liver"),
             ("stomach", "spleen")]  # fmt: skip
    for first, second in pairs:
        share = np.mean([touch(label, first, second) for _, label in cases])
        assert share > 0.35, (first, second)


def test_organs_are_of_one_piece(cases: list[Case]) -> None:
    for name in ("liver", "spleen", "right kidney", "left kidney", "aorta"):
        for _, label in cases:
            pieces, _ = ndimage.label(label.array == VALUES[name], np.ones((3, 3, 3)))
            assert np.bincount(pieces.ravel())[1:].max() > 0.9 * (pieces > 0).sum(), name


def test_tissues_measure_what_they_do_in_ct(cases: list[Case]) -> None:
    ranges = {"liver": (15, 140), "spleen": (30, 150), "pancreas": (25, 125),
              "left kidney": (15, 210), "aorta": (30, 350), "inferior vena cava": (25, 170),
              "gallbladder": (-15, 60)}  # fmt: skip
    for image, label in cases:
        for name, (low, high) in ranges.items():
            inside = ndimage.binary_erosion(label.array == VALUES[name])
            if inside.sum() >= 20:
                assert low < np.median(image.array[inside]) < high, name
        assert -1024 <= image.array.min() < -980
        assert np.median(image.array[:, 0, 0]) == pytest.approx(-1000, abs=30)
        fat = (image.array > -140) & (image.array < -60)
        assert fat.mean() > 0.04
        assert (image.array > 300).sum() > 100, "bones"
        assert (label.array[image.array < -950] == 0).mean() > 0.98, "hardly any organ lies in air"


def test_other_tissue_has_the_hu_of_organs(cases: list[Case]) -> None:
    for image, label in cases:
        liver = image.array[label.array == VALUES["liver"]]
        low, high = np.percentile(liver, [10, 90])
        alike = (label.array == 0) & (image.array > low) & (image.array < high)
        assert alike.sum() > 0.2 * liver.size


def test_patients_differ_in_place_size_and_contrast(cases: list[Case]) -> None:
    for name in ORGANS.values():
        present = [case for case in cases if (case[1].array == VALUES[name]).any()]
        volumes = np.array([millilitres(label, name) for _, label in present])
        places = np.array([centroid(label, name) for _, label in present])
        assert volumes.std() > 0.15 * volumes.mean(), name
        assert np.linalg.norm(places.std(0)) > 6, name
    aorta = [np.median(image.array[label.array == VALUES["aorta"]]) for image, label in cases]
    assert max(aorta) - min(aorta) > 120
    assert len({image.shape for image, _ in cases}) > len(cases) // 2


def test_data_set_has_its_folders_and_no_label_for_unlabelled_cases(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    dataset = make_phantom(
        tmp_path, 2, 2, 1, 1, spacing_mm=COARSE_MM, progress=lambda *step: seen.append(step)
    )
    assert dataset.name == "phantom"
    assert dataset.modality == "CT"
    assert dataset.labels.organs == tuple(ORGANS.values())
    roles = ["labelled"] * 2 + ["unlabelled"] * 2 + ["validation", "test"]
    assert {case.id: case.role for case in dataset.cases} == {
        f"phantom_{number:04d}": role for number, role in enumerate(roles, start=1)
    }
    assert [case.label for case in dataset.with_role("unlabelled")] == [None, None]
    assert not (tmp_path / "unlabelled" / "labels").exists()
    assert seen[0] == (1, 6, "phantom_0001")
    assert seen[-1] == (6, 6, "phantom_0006")


def test_files_hold_the_case(tmp_path: Path) -> None:
    dataset = make_phantom(tmp_path, 1, 0, 0, 0, seed=2, spacing_mm=COARSE_MM)
    (case,) = dataset.cases
    assert case.label is not None
    image, label = phantom_case(200_001, COARSE_MM)
    assert np.array_equal(read_volume(case.image).array, image.array)
    assert np.array_equal(read_label(case.label).array, label.array)
    assert read_volume(case.image).geometry.corner_distance_mm(image.geometry) < 1e-2
    assert nibabel.load(case.image).get_data_dtype() == np.int16
    assert nibabel.load(case.label).get_data_dtype() == np.uint8


def test_finished_cases_are_not_made_again_and_lost_ones_are(tmp_path: Path) -> None:
    first = make_phantom(tmp_path, 2, 0, 0, 0, spacing_mm=COARSE_MM)
    kept, lost = (case.image for case in first.cases)
    bytes_before, time_before = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    assert make_phantom(tmp_path, 2, 0, 0, 0, spacing_mm=COARSE_MM) == first
    assert kept.stat().st_mtime_ns == time_before
    assert len(lost.read_bytes()) == len(bytes_before)


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    make_phantom(tmp_path, 1, 0, 0, 0, spacing_mm=COARSE_MM)
    with pytest.raises(InputError, match="made with .*'seed': 0.* asked for .*'seed': 1"):
        make_phantom(tmp_path, 1, 0, 0, 0, seed=1, spacing_mm=COARSE_MM)


@pytest.mark.parametrize(
    "spacing_mm", [(0.0, 4.0, 4.0), (5.0, -4.0, 4.0), (5.0, float("nan"), 4.0)]
)
def test_impossible_spacings_are_refused(spacing_mm: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="spacing"):
        phantom_case(0, spacing_mm)


@pytest.mark.parametrize(("labelled", "test"), [(0, 2), (-1, 0), (2, -3)])
def test_impossible_numbers_of_cases_are_refused(tmp_path: Path, labelled: int, test: int) -> None:
    with pytest.raises(InputError, match="cases"):
        make_phantom(tmp_path, labelled, 0, 0, test)


def test_labels_of_other_data_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"7": "mine"}')
    with pytest.raises(InputError, match=r"labels\.json: .*another folder"):
        make_phantom(tmp_path, 1, 0, 0, 0)
    assert (tmp_path / "labels.json").read_text() == '{"7": "mine"}'
