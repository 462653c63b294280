import json
from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.inference.seen import Seen, gather, look_at_organs, look_at_scan
from dvcl.volume import Geometry, Volume, write_volume

LABELS = LabelTable.from_mapping({1: "liver", 5: "spleen", 7: "aorta"})
# x of the file to the back, y to the right, z to the feet; 2 x 3 x 4 mm.
AFFINE = np.array([[0, 3.0, 0, -10], [-2.0, 0, 0, 20], [0, 0, -4.0, 30], [0, 0, 0, 1]])


def box_scan(folder: Path) -> tuple[Path, Volume]:
    """A box of water, 40 x 30 x 20 mm of it from front to back, side to side, head to feet."""
    array = np.full((10, 20, 40), -1000, np.int16)
    array[2:7, 5:15, 10:30] = 20
    array[2:7, 5:15, 10:11] = 400
    volume = Volume(array, AFFINE)
    write_volume(folder / "scan.nii.gz", volume)
    return folder / "scan.nii.gz", volume


def test_a_scan_in_numbers_of_the_patients_axes(tmp_path: Path) -> None:
    path, volume = box_scan(tmp_path)
    scan = look_at_scan(path, volume, "CT")
    assert scan.codes == ()
    assert scan.numbers == pytest.approx(
        {
            "spacing_z": 4, "spacing_y": 2, "spacing_x": 3,
            "field_z": 40, "field_y": 80, "field_x": 60,
            "section_small": 12, "section_middle": 12, "section_large": 12,
            "body_low": 20, "body_middle": 20, "body_high": 20, "tissue": 10,
        },
        abs=20,
    )  # fmt: skip
    assert scan.numbers["section_middle"] == pytest.approx(12)
    mr = look_at_scan(path, Volume(volume.array + 1000, AFFINE), "MR")
    assert not {"tissue", "body_middle"} & set(mr.numbers)
    with pytest.raises(InputError, match="scan.nii.gz: every voxel has the value 3"):
        look_at_scan(path, Volume(np.full((4, 4, 4), 3.0), AFFINE), "CT")


def test_organs_in_numbers() -> None:
    classes = np.zeros((10, 20, 40), np.uint8)
    classes[2:4, 5:7, 10:12] = 1
    classes[8:9, 5:7, 10:12] = 1
    classes[0:2, 3, 3] = 2
    organs = look_at_organs(classes, Geometry(classes.shape, AFFINE), LABELS)
    assert set(organs) == {"liver", "spleen"}
    liver, spleen = organs["liver"], organs["spleen"]
    assert liver.volume_ml == pytest.approx(12 * 24 / 1000)
    assert liver.scattered == pytest.approx(1 / 3)
    x, y, z = 10.5, 5.5, (2 * 4 + 3 * 4 + 8 * 4) / 12
    assert liver.centre_mm == pytest.approx((3 * y - 10, -2 * x + 20, -4 * z + 30))
    assert not liver.at_border
    assert spleen.at_border
    assert spleen.scattered == 0


def test_the_record_comes_back(tmp_path: Path) -> None:
    path, volume = box_scan(tmp_path)
    classes = (volume.array > 0).astype(np.uint8)
    organs = look_at_organs(classes, volume.geometry, LABELS)
    odd = look_at_scan(path, Volume(volume.array + 1024, AFFINE), "CT")
    seen = gather("CT", 3, [look_at_scan(path, volume, "CT"), odd, odd], [organs])
    assert Seen.from_json(json.loads(json.dumps(seen.to_json()))) == seen
    assert seen.codes == {"hu-offset": 2}
    assert seen.usual_codes == {"hu-offset"}
