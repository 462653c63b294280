"""What is measured: against loops in plain Python, and never from cases that test the result."""

import numpy as np
import pytest

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.planning.case_facts import measure_case, measure_organs
from dvcl.planning.fingerprint import take_fingerprint
from dvcl.volume import Volume, read_label, read_volume, write_volume
from dvcl.volume.turning import orient

LABELS = LabelTable.from_mapping({1: "liver", 7: "cyst", 9: "spleen"})
LPI = np.diag([-2.0, -3.0, -4.0, 1.0])


def scan(seed: int = 0) -> tuple[Volume, Volume]:
    """A body with two organs in LPI; the third is missing."""
    image = np.full((8, 12, 16), -1000, np.float32)
    image[:, 2:10, 3:13] = 40
    label = np.zeros(image.shape, np.int32)
    label[2:6, 4:8, 5:11] = 1
    label[3:5, 5, 6] = 7
    image[label == 1] = 100
    image[label == 7] = 10
    noise = np.random.default_rng(seed).normal(0, 3, image.shape)
    return Volume(image + noise.astype(np.float32), LPI), Volume(label, LPI)


@pytest.fixture
def write(tmp_path):
    def write_case(id, role="labelled", codes="LPI", seed=0):
        for kind, volume in zip(("images", "labels"), scan(seed), strict=True):
            (tmp_path / kind).mkdir(exist_ok=True)
            write_volume(tmp_path / kind / f"{id}.nii.gz", orient(volume, codes))
        return Case(id, *(tmp_path / k / f"{id}.nii.gz" for k in ("images", "labels")), role)

    return write_case


def naive_chord_mm(mask: np.ndarray, axis: int, spacing_mm: float) -> float:
    """Mean length of the runs of True along an axis."""
    runs, voxels = 0, 0
    for line in np.moveaxis(mask, axis, -1).reshape(-1, mask.shape[axis]):
        before = False
        for value in line:
            runs += bool(value) and not before
            voxels += bool(value)
            before = value
    return voxels / runs * spacing_mm


def test_organs_are_measured_as_in_a_loop():
    random = np.random.default_rng(3)
    classes = random.integers(0, 4, (7, 8, 9)).astype(np.uint8)
    image = Volume(random.normal(size=classes.shape), np.diag([2.0, 3.0, 4.0, 1]))
    facts = measure_organs(image, classes, LABELS)
    assert list(facts) == ["liver", "cyst", "spleen"]
    for index, organ in enumerate(facts.values(), start=1):
        mask = classes == index
        assert organ.volume_ml == pytest.approx(mask.sum() * 24 / 1000)
        expected = [naive_chord_mm(mask, axis, mm) for axis, mm in enumerate((4, 3, 2))]
        assert organ.chord_mm == pytest.approx(expected)
        assert organ.intensity[2] == pytest.approx(np.median(image.array[mask]))


def test_a_sphere_is_two_thirds_of_its_diameter_across():
    z, y, x = np.mgrid[:40, :40, :40]
    ball = (((z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2) <= 15**2).astype(np.uint8)
    image = Volume(ball.astype(np.float32), np.eye(4))
    facts = measure_organs(image, ball, LABELS)["liver"]
    assert facts.chord_mm == pytest.approx([20] * 3, rel=0.05)


@pytest.mark.parametrize("codes", ["LPI", "RAS", "PIR", "SAL"])
def test_the_orientation_of_the_file_changes_nothing_else(write, codes):
    expected = measure_case(write("a"), LABELS, "CT")
    found = measure_case(write("b", codes=codes), LABELS, "CT")
    assert found.orientation == codes
    assert (found.shape, found.organs) == (expected.shape, expected.organs)
    assert found.spacing_mm == pytest.approx((4, 3, 2))
    assert found.body_mm == pytest.approx((32, 24, 20))
    assert found.body_share == pytest.approx(8 * 8 * 10 / (8 * 12 * 16))
    assert "spleen" not in found.organs


def test_labels_of_unlabelled_and_test_cases_are_not_opened(write, tmp_path):
    cases = [write("a"), write("b", "unlabelled"), write("c", "test"), write("d", "validation")]
    for case in cases[1:]:
        case.label.write_bytes(b"no label")
    for case in cases[2:]:
        case.image.write_bytes(b"no image")
    found = take_fingerprint(Dataset("own", "CT", tuple(cases), LABELS))
    assert found.counts == {"labelled": 1, "unlabelled": 1, "test": 1, "validation": 1}
    assert [case.id for case in found.cases] == ["a", "b"]
    assert found.cases[1].organs is None


def test_medians_over_cases_and_plain_values(write):
    cases = tuple(write(name, None, seed=n) for n, name in enumerate("abc"))
    calls = []
    found = take_fingerprint(Dataset("own", "CT", cases, LABELS), lambda *call: calls.append(call))
    assert calls[-1] == (3, 3, "c")
    assert found.counts == {"undivided": 3}
    assert found.thinnest[0] == "cyst"
    assert found.typical_organs["cyst"].volume_ml == pytest.approx(2 * 24 / 1000)
    value = found.to_json()
    assert value["organs_never_seen"] == ["spleen"]
    assert value["organs"]["liver"]["cases"] == 3
    assert value["orientations"] == {"LPI": 3}


def test_thin_slices_count_where_scans_are_anisotropic(fingerprint):
    from dataclasses import replace

    found = fingerprint()
    spacings = [(1.0, 0.5, 0.5), *[(5.0, 0.5, 0.5)] * 9]
    cases = tuple(replace(found.cases[0], spacing_mm=spacing) for spacing in spacings)
    thick = replace(found, cases=cases)
    assert thick.is_anisotropic
    assert thick.spacing_mm == pytest.approx(
        (np.percentile([mm[0] for mm in spacings], 10), 0.5, 0.5)
    )
    alike = replace(found, cases=tuple(replace(c, spacing_mm=(1.0, 0.5, 0.5)) for c in cases))
    assert not alike.is_anisotropic
    assert alike.spacing_mm == (1.0, 0.5, 0.5)


def test_all_unusable_files_are_listed(write):
    cases = [write("a"), write("b"), write("c"), write("d")]
    cases[0].image.write_bytes(b"")
    image = read_volume(cases[1].image)
    image.array[0, 0, 0] = np.nan
    write_volume(cases[1].image, image)
    label = read_label(cases[2].label)
    write_volume(cases[2].label, Volume(label.array[1:], label.affine))
    with pytest.raises(InputError) as caught:
        take_fingerprint(Dataset("own", "CT", tuple(cases), LABELS))
    assert len(caught.value.problems) == 3
    for part in (
        "a.nii.gz: the file is empty",
        "b.nii.gz: has voxels that are NaN",
        "c.nii.gz: has",
    ):
        assert part in str(caught.value)


def test_no_organ_at_all_is_an_error(write):
    case = write("a")
    label = read_label(case.label)
    write_volume(case.label, Volume(np.zeros_like(label.array), label.affine))
    with pytest.raises(InputError, match="no label map shows an organ"):
        take_fingerprint(Dataset("own", "CT", (case,), LABELS))
