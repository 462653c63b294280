"""isal unpacks what gzip does, and a damaged file gets the same words with and without it."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from dvcl.errors import InputError
from dvcl.volume import Volume, nifti, read_volume, write_volume

CONTENT = np.random.default_rng(0).integers(-1000, 1000, (12, 20, 20)).astype(np.int16)


def damage(whole: bytes, how: str) -> bytes:
    flipped = bytes([whole[len(whole) // 2] ^ 255])
    return {
        "cut": whole[: len(whole) // 2],
        "no end": whole[:-8],
        "wrong checksum": whole[:-8] + bytes(4) + whole[-4:],
        "other bytes inside": whole[: len(whole) // 2] + flipped + whole[len(whole) // 2 + 1 :],
    }[how]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "größe 1.nii.gz"
    write_volume(path, Volume(CONTENT, np.diag([1.0, 2.0, 3.0, 1.0])))
    return path


def test_isal_is_what_unpacks(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("isal")
    opened = []

    class Recorded(nifti.igzip.IGzipFile):
        def __init__(self, path: str) -> None:
            opened.append(Path(path))
            super().__init__(path)

    monkeypatch.setattr(nifti.igzip, "IGzipFile", Recorded)
    assert np.array_equal(read_volume(scan, np.int16).array, CONTENT)
    assert opened == [scan]


def test_without_isal_gzip_unpacks(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nifti, "igzip", None)
    assert np.array_equal(read_volume(scan, np.int16).array, CONTENT)


def test_members_after_the_first_belong_to_the_file(scan: Path) -> None:
    whole = gzip.decompress(scan.read_bytes())
    scan.write_bytes(gzip.compress(whole[:1000]) + gzip.compress(whole[1000:]))
    assert np.array_equal(read_volume(scan, np.int16).array, CONTENT)


@pytest.mark.parametrize("how", ["cut", "no end", "wrong checksum", "other bytes inside"])
def test_damage_is_told_in_the_same_words(
    scan: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan.write_bytes(damage(scan.read_bytes(), how))
    with pytest.raises(InputError, match="truncated, damaged") as fast:
        read_volume(scan)
    monkeypatch.setattr(nifti, "igzip", None)
    with pytest.raises(InputError) as plain:
        read_volume(scan)
    assert str(fast.value) == str(plain.value)
