"""What a page holds of a case: small volumes at the right place, with the file's own numbers."""

import base64
import gzip

import nibabel
import numpy as np
import pytest

from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.report.scan import lone_scan
from dvcl.viewer import scene as scenes
from dvcl.viewer.scene import case_scene, scan_scene
from dvcl.volume import Volume, write_volume

LABELS = LabelTable.from_mapping({1: "liver", 7: "spleen"})
AFFINES = {
    "RAS": np.diag([2.0, 3, 4, 1]),
    "LPI": np.array([[-2.0, 0, 0, 40], [0, -3, 0, 50], [0, 0, -4, 60], [0, 0, 0, 1]]),
    "PIR": np.array([[0, 0, 4.0, -9], [-2, 0, 0, 50], [0, -3, 0, 60], [0, 0, 0, 1]]),
    "oblique": np.array([[1.9, 0.5, 0, 4], [-0.6, 2.9, 0, 5], [0, 0, 4, 6], [0, 0, 0, 1]]),
}


def unpack(packed):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(packed)))


def volume(array, name="RAS"):
    return Volume(array, AFFINES[name])


def ball(shape, centre, radius=3):
    places = np.indices(shape).T - np.array(centre)
    return (np.linalg.norm(places, axis=-1) <= radius).T


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("most", [1_500_000, 2000])
def test_an_organ_stays_where_it_is_in_the_patient(monkeypatch, name, most):
    monkeypatch.setattr(scenes, "MOST_VOXELS", most)
    shape, centre = (24, 22, 30), (15, 8, 20)
    mask = ball(shape, centre)
    image = volume(np.where(mask, 300, -1000).astype(np.int16), name)
    content = case_scene("a", image, volume(mask.astype(np.uint8), name), {}, LABELS).content
    expected = nibabel.affines.apply_affine(AFFINES[name], centre[::-1])
    for packed, level in ((content["image"], -500), (content["label_maps"][0]["data"], 0.5)):
        small = unpack(packed)
        found = np.argwhere(small.get_fdata() > level).mean(axis=0)
        assert small.shape[0] * small.shape[1] * small.shape[2] <= most
        distance = np.abs(nibabel.affines.apply_affine(small.affine, found) - expected)
        assert distance.max() < (0.01 if most > 2000 else 2.0), "mm"


def test_volumes_are_those_of_the_file(monkeypatch):
    monkeypatch.setattr(scenes, "MOST_VOXELS", 500)
    reference = np.zeros((20, 20, 20), np.uint8)
    reference[5:9, 5:9, 5:9] = 7
    content = case_scene(
        "a", volume(np.zeros((20, 20, 20), np.int16)), volume(reference), {}, LABELS
    ).content
    assert content["label_maps"][0]["volumes_ml"] == [0, round(64 * 24 / 1000, 2)]
    assert [organ["name"] for organ in content["organs"]] == ["liver", "spleen"]


def test_hounsfield_units_keep_four_units():
    values = np.linspace(-1200, 3500, 1000).reshape(10, 10, 10)
    content = case_scene("a", volume(values), None, {}, LABELS).content
    found = np.sort(unpack(content["image"]).get_fdata().ravel())
    assert np.abs(found - np.sort(values.ravel()).clip(-1024, 3071)).max() <= 2
    assert next(iter(content["windows"])) == "soft tissue"
    assert "lung" in content["windows"]


@pytest.mark.parametrize("values", [np.linspace(0, 5, 1000), np.full(1000, 3.0)])
def test_other_intensities_keep_their_range(values):
    image = volume(values.reshape(10, 10, 10))
    content = case_scene("a", image, None, {}, LABELS, "MR").content
    found = np.sort(unpack(content["image"]).get_fdata().ravel())
    assert np.abs(found - values).max() <= 0.02
    assert [*content["windows"]] == ["as in the pictures"]


def test_label_maps_keep_their_order_and_the_reference_is_marked():
    image = volume(np.zeros((9, 9, 9), np.int16))
    empty = volume(np.zeros((9, 9, 9), np.uint8))
    maps = {"doubt": volume(np.full((9, 9, 9), 0.5))}
    content = case_scene("a", image, empty, {"b": empty, "a": empty}, LABELS, maps=maps).content
    named = [(part["name"], part["is_reference"]) for part in content["label_maps"]]
    assert named == [("Reference", True), ("b", False), ("a", False)]
    assert unpack(content["maps"][0]["data"]).get_fdata() == pytest.approx(0.5, abs=0.01)


def test_another_grid_is_refused():
    image = volume(np.zeros((9, 9, 9), np.int16))
    with pytest.raises(InputError, match="the image"):
        case_scene("a", image, None, {"b": volume(np.zeros((9, 9, 8), np.uint8))}, LABELS)


def test_a_scan_without_labels_has_no_label_map(tmp_path):
    write_volume(tmp_path / "a.nii.gz", volume(np.full((9, 9, 9), -1000, np.int16)))
    scan = lone_scan(tmp_path / "a.nii.gz", None, None, None, None)
    assert scan_scene(scan).content["label_maps"] == []
