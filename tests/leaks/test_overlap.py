from pathlib import Path

import numpy as np
import pytest

from dvcl.errors import InputError
from dvcl.leaks.fingerprint import ScanFingerprint, fingerprint_scan
from dvcl.leaks.overlap import Twins, check_split, find_twins
from dvcl.volume import Volume

PARTS = {"labelled": ("a", "b"), "unlabelled": ("c", "d"), "validation": ("e",), "test": ("f",)}


def fingerprint(seed: int, scale: float = 1.0) -> ScanFingerprint:
    array = np.random.default_rng(seed).random((20, 22, 24)).astype(np.float32)
    return fingerprint_scan(Volume(array * scale, np.eye(4)))


def test_twins_are_the_same_voxels_or_look_alike() -> None:
    found = find_twins(
        {"a": fingerprint(0), "b": fingerprint(1), "c": fingerprint(0, 2), "d": fingerprint(1)}
    )
    assert [(pair.first, pair.second, pair.same_voxels) for pair in found] == [
        ("a", "c", False),
        ("b", "d", True),
    ]
    assert found[0].likeness == pytest.approx(1, abs=1e-3)
    assert all(pair.is_certain for pair in found)


def test_without_a_coarse_look_voxels_are_compared() -> None:
    bare = {
        name: ScanFingerprint(sha, None) for name, sha in {"a": "1", "b": "2", "c": "1"}.items()
    }
    assert find_twins(bare) == [Twins("a", "c", 1.0, same_voxels=True)]
    assert find_twins({}) == []


def test_the_same_scan_in_two_parts_is_refused_with_every_pair() -> None:
    twins = [Twins("a", "b", 1, True), Twins("d", "f", 1, True), Twins("a", "e", 0.93, False)]
    with pytest.raises(InputError, match="--allow-overlap") as caught:
        check_split(PARTS, twins)
    assert caught.value.problems == [
        "d (unlabelled) and f (test): the same voxels",
        "a (labelled) and e (validation): likeness 0.93",
    ]


def test_overlaps_can_be_allowed_and_are_told() -> None:
    (told,) = check_split(PARTS, [Twins("d", "f", 1, True)], allow=True)
    assert told == "Allowed overlap: d (unlabelled) and f (test): the same voxels."


def test_pairs_that_are_only_alike_are_told_not_refused() -> None:
    (told,) = check_split(PARTS, [Twins("c", "f", 0.88, False), Twins("a", "b", 0.88, False)])
    assert told.startswith("Look at these, they are alike: c (unlabelled) and f (test)")


def test_twins_outside_the_split_do_not_matter() -> None:
    assert check_split({"labelled": ["a"], "test": ["f"]}, [Twins("a", "x", 1, True)]) == []


def test_an_id_in_two_parts_is_a_leak_without_any_fingerprint() -> None:
    with pytest.raises(InputError, match=r"a \(labelled\) and a \(test\)"):
        check_split({"labelled": ("a",), "test": ("a",)}, [])


def test_the_real_scans_are_all_different(real_data: Path) -> None:
    """The distance to the threshold is in docs/check.md."""
    from dvcl.volume import read_volume

    paths = sorted((real_data / "headneck" / "test" / "images").iterdir())
    assert find_twins({path.name: fingerprint_scan(read_volume(path)) for path in paths}) == []
