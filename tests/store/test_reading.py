from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.files import read_json, write_json
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.store import Store, build_store, open_store
from dvcl.volume import Volume, volume_stem, write_volume


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One labelled and one unlabelled case, their voxels the same in two orientations."""
    generator = np.random.default_rng(0)
    image = generator.integers(-300, 300, (5, 8, 7)).astype(np.int16)
    label = generator.integers(0, 2, (5, 8, 7)).astype(np.uint8)
    write_volume(tmp_path / "a.nii.gz", Volume(image, np.eye(4)))
    write_volume(tmp_path / "a_label.nii.gz", Volume(label, np.eye(4)))
    write_volume(tmp_path / "b.nii.gz", Volume(image[::-1], np.diag([1.0, 1.0, -1.0, 1.0])))
    cases = (
        Case("a", tmp_path / "a.nii.gz", tmp_path / "a_label.nii.gz", "labelled"),
        Case("b", tmp_path / "b.nii.gz", None, "unlabelled"),
    )
    dataset = Dataset("two", "CT", cases, LabelTable((0, 1), ("background", "liver")))
    return build_store(dataset, Preprocessing(spacing_mm=(1, 1, 1)), tmp_path / "store")


def test_a_store_opens_as_it_was_built(store: Store) -> None:
    again = open_store(store.folder)
    assert (again.ids, again.settings, again.labels) == (store.ids, store.settings, store.labels)
    assert again.case("a") is again.case("a")
    assert np.array_equal(again.case("a").image, store.case("a").image)


def test_arrays_are_memory_mapped_until_they_are_preloaded(store: Store) -> None:
    case = store.case("a")
    mapped = case.image
    assert isinstance(mapped, np.memmap)
    assert isinstance(case.label, np.memmap)
    store.preload()
    assert not isinstance(case.image, np.memmap)
    assert not isinstance(case.label, np.memmap)
    assert np.array_equal(case.image, mapped)
    assert store.case("b").label is None


def test_the_size_in_ram_is_known_beforehand(store: Store) -> None:
    voxels = 5 * 8 * 7
    assert store.size_bytes() == voxels * (2 + 1) + voxels * 2
    assert store.size_bytes(["b"]) == voxels * 2


def test_the_same_voxels_in_two_orientations_have_one_fingerprint(store: Store) -> None:
    first, second = store.fingerprints().values()
    assert first.voxels_sha256 == second.voxels_sha256
    assert np.array_equal(first.coarse, second.coarse)


def test_a_case_without_label_has_no_organ_voxels(store: Store) -> None:
    with pytest.raises(InputError, match="case b"):
        _ = store.case("b").organ_voxels


def test_wrong_stores_are_explained(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished store"):
        open_store(tmp_path / "nothing")
    with pytest.raises(InputError, match="no case 'c'"):
        store.case("c")
    index = read_json(store.folder / "store.json")
    write_json(store.folder / "store.json", {**index, "format": 0})
    with pytest.raises(InputError, match="format 0"):
        open_store(store.folder)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"id": "a"}'])
@pytest.mark.parametrize("name", ["store.json", "a/case.json"])
def test_damaged_records_are_named(store: Store, name: str, content: str | None) -> None:
    path = store.folder / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InputError, match=rf"{Path(name).stem}.*Prepare the data set"):
        open_store(store.folder).case("a")


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY damaged"])
def test_a_damaged_array_is_named(store: Store, content: bytes | None) -> None:
    path = store.folder / "a" / "image.npy"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=r"image\.npy"):
        _ = store.case("a").image


def test_real_scans_keep_their_organs(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "headneck" / "labelled"
    names = read_json(real_data / "headneck" / "labels.json")
    labels = LabelTable.from_mapping({int(value): name for value, name in names.items()})
    images = sorted((folder / "images").iterdir())[:2]
    cases = tuple(Case(volume_stem(path), path, folder / "labels" / path.name) for path in images)
    dataset = Dataset("headneck", "CT", cases, labels)
    store = build_store(dataset, Preprocessing(spacing_mm=(5, 5, 5)), tmp_path)
    for name in store.ids:
        case = store.case(name)
        assert case.label is not None
        assert set(np.unique(case.label)) == set(range(labels.classes))
        assert case.grid.prepared.orientation == "LPI"
        assert case.image.min() == -32768


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "organ_voxels.npy"])
def test_a_flipped_bit_is_found_when_the_array_is_first_read(store: Store, name: str) -> None:
    path = store.folder / "a" / name
    for bit in (8 * path.stat().st_size - 3, 8 * 130):
        flip(path, bit)
        case = open_store(store.folder).case("a")
        with pytest.raises(InputError, match=rf"{name}: has the checksum .*Prepare the data set"):
            case.check()
        flip(path, bit)
    open_store(store.folder).case("a").check()


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        ("image.npy", np.zeros((5, 8, 6), np.int16), r"the shape \(5, 8, 6\) found, \(5, 8, 7\)"),
        ("image.npy", np.zeros((5, 8, 7), np.int32), "the type int32 found, int16"),
        ("label.npy", np.full((5, 8, 7), 9, np.uint8), r"numbers up to \[9\]; below \[2\]"),
        ("organ_voxels.npy", np.array([[1, 4, 8, 0]], np.int32), r"below \[2, 5, 8, 7\]"),
        ("organ_voxels.npy", np.array([[1, -1, 0, 0]], np.int32), "none below 0"),
        ("organ_voxels.npy", np.zeros((3, 3), np.int32), r"the shape \(3, 3\)"),
    ],
)
def test_arrays_of_earlier_versions_must_be_possible(
    store: Store, name: str, array: np.ndarray, told: str
) -> None:
    record = read_json(store.folder / "a" / "case.json")
    del record["checksums"]
    write_json(store.folder / "a" / "case.json", record)
    store.case("a").check()
    np.save(store.folder / "a" / name, array)
    with pytest.raises(InputError, match=f"{name}: .*{told}"):
        open_store(store.folder).case("a").check()
