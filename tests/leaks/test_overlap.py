import pytest

from dvcl.errors import InputError
from dvcl.leaks.overlap import check_split

PARTS = {"labelled": ("a", "b"), "unlabelled": ("c", "d"), "validation": ("e",), "test": ("f",)}


def test_the_same_voxels_in_two_parts_are_a_leak() -> None:
    hashes = dict(zip("abcdef", ["1", "1", "2", "3", "4", "3"], strict=True))
    with pytest.raises(InputError) as caught:
        check_split(PARTS, hashes)
    assert caught.value.problems == ["d (unlabelled) and f (test)"]
    check_split(PARTS, {**hashes, "f": "5"})


def test_an_id_in_two_parts_is_a_leak_without_any_hash() -> None:
    with pytest.raises(InputError, match=r"a \(labelled\) and a \(test\)"):
        check_split({"labelled": ("a",), "test": ("a",)}, {})
