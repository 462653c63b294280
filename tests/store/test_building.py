import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.files import read_json, write_json
from dvcl.preprocessing.prepare import Preprocessing, prepare_image, prepare_label
from dvcl.store import build_store, open_store, store_folder, task, writing
from dvcl.store.reading import store_identity
from dvcl.volume import Volume, read_label, read_volume, write_volume
from dvcl.volume.turning import orient

LABELS = LabelTable((0, 5, 9), ("background", "liver", "spleen"))
SETTINGS = Preprocessing(spacing_mm=(3.0, 2.5, 2.5))
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def write_scan(folder: Path, name: str, seed: int) -> Case:
    generator = np.random.default_rng(seed)
    image = generator.integers(-400, 400, (9, 16, 14)).astype(np.int16)
    label = np.array(LABELS.values, np.uint8)[generator.integers(0, 3, image.shape)]
    write_volume(folder / "images" / f"{name}.nii.gz", Volume(image, AFFINE))
    write_volume(folder / "labels" / f"{name}.nii.gz", Volume(label, AFFINE))
    return Case(name, folder / "images" / f"{name}.nii.gz", folder / "labels" / f"{name}.nii.gz")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three labelled scans and one without labels."""
    cases = [write_scan(tmp_path / "raw", name, seed) for seed, name in enumerate("abcd")]
    cases[3] = replace(cases[3], label=None, role="unlabelled")
    return Dataset("small", "CT", tuple(cases), LABELS)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the cases whose image is read from now on."""
    names: list[str] = []

    def read(path: Path, dtype: object = np.float32) -> Volume:
        names.append(path.name.split(".")[0])
        return read_volume(path, dtype)

    monkeypatch.setattr(writing, "read_volume", read)
    return names


def test_stored_cases_are_what_the_preparation_gives(dataset: Dataset, tmp_path: Path) -> None:
    store = build_store(dataset, SETTINGS, tmp_path / "store")
    assert store.ids == ("a", "b", "c", "d")
    for case in dataset.cases:
        stored = store.case(case.id)
        image, grid = prepare_image(read_volume(case.image), SETTINGS)
        assert np.abs(stored.image * stored.scale + stored.offset - image).max() < 1e-4
        assert np.array_equal(stored.grid.prepared.affine, grid.prepared.affine)
        assert stored.source == case.image
        if case.label is None:
            assert stored.label is None
        else:
            classes = LABELS.encode(read_label(case.label).array)
            assert np.array_equal(stored.label, prepare_label(classes, grid))
            rows = stored.organ_voxels
            assert np.array_equal(stored.label[tuple(rows[:, 1:].T)], rows[:, 0])


@pytest.mark.parametrize("codes", ["RAS", "SPL"])
def test_a_label_map_of_other_axes_is_prepared_the_same(
    dataset: Dataset, tmp_path: Path, codes: str
) -> None:
    before = build_store(dataset, SETTINGS, tmp_path / "before")
    for case in dataset.cases[:3]:
        write_volume(case.label, orient(read_label(case.label), codes))
    after = build_store(dataset, SETTINGS, tmp_path / "after")
    for id in "abc":
        assert np.array_equal(after.case(id).label, before.case(id).label)


def test_finished_cases_are_not_prepared_again(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    seen: list[tuple[int, int, str]] = []
    build_store(dataset, SETTINGS, tmp_path / "store")
    assert prepared == ["a", "b", "c", "d"]
    build_store(dataset, SETTINGS, tmp_path / "store", progress=lambda *now: seen.append(now))
    assert prepared == ["a", "b", "c", "d"]
    assert seen == [(1, 4, "a"), (2, 4, "b"), (3, 4, "c"), (4, 4, "d")]


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_changed_source_is_prepared_again(
    dataset: Dataset, tmp_path: Path, prepared: list[str], kind: str
) -> None:
    before = build_store(dataset, SETTINGS, tmp_path / "store").case("b")
    image, label = np.array(before.image), np.array(before.label)
    other = write_scan(tmp_path / "other", "b", 77)
    changed = tmp_path / "raw" / kind / "b.nii.gz"
    changed.write_bytes((tmp_path / "other" / kind / "b.nii.gz").read_bytes())
    prepared.clear()
    after = build_store(dataset, SETTINGS, tmp_path / "store").case("b")
    assert prepared == ["b"]
    assert np.array_equal(after.image, image) == (kind == "labels")
    assert np.array_equal(after.label, label) == (kind == "images")
    assert other.id == "b"


def test_another_label_table_redoes_labelled_cases_only(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    build_store(dataset, SETTINGS, tmp_path / "store")
    prepared.clear()
    swapped = LabelTable((0, 9, 5), ("background", "spleen", "liver"))
    store = build_store(replace(dataset, labels=swapped), SETTINGS, tmp_path / "store")
    assert prepared == ["a", "b", "c"]
    assert store.labels == swapped


def test_masks_are_stored_as_the_same_label_map_and_watched_one_by_one(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    case = dataset.cases[0]
    label = read_label(case.label)
    masks = tmp_path / "masks" / "a"
    for value, organ in zip(LABELS.values[1:], LABELS.organs, strict=True):
        inside = (label.array == value).astype(np.uint8)
        write_volume(masks / f"{organ}.nii.gz", Volume(inside, AFFINE))
    write_volume(masks / "tumour.nii.gz", Volume(np.ones_like(inside), AFFINE))
    whole = build_store(replace(dataset, cases=(case,)), SETTINGS, tmp_path / "whole").case("a")
    parts = replace(dataset, cases=(replace(case, label=masks),))
    stored = build_store(parts, SETTINGS, tmp_path / "store").case("a")
    assert np.array_equal(stored.label, whole.label)
    assert np.array_equal(stored.organ_voxels, whole.organ_voxels)
    assert stored.label_source == masks
    (masks / "tumour.nii.gz").unlink()
    build_store(parts, SETTINGS, tmp_path / "store")
    assert prepared == ["a", "a"]
    (masks / "spleen.nii.gz").rename(masks / "other.nii.gz")
    (masks / "liver.nii.gz").rename(masks / "spleen.nii.gz")
    (masks / "other.nii.gz").rename(masks / "liver.nii.gz")
    build_store(parts, SETTINGS, tmp_path / "store")
    assert prepared == ["a", "a", "a"]


def test_classes_that_are_not_annotated_are_recorded(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    store = build_store(dataset, SETTINGS, tmp_path / "store")
    assert all(store.case(id).annotated is None for id in store.ids)
    partly = (replace(dataset.cases[0], unannotated=("liver",)), *dataset.cases[1:])
    store = build_store(replace(dataset, cases=partly), SETTINGS, tmp_path / "store")
    assert prepared == ["a", "b", "c", "d", "a"]
    assert store.case("a").annotated.tolist() == [True, False, True]
    assert store.case("b").annotated is None


def test_the_data_of_a_detached_header_are_watched(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    pytest.importorskip("SimpleITK")
    case = replace(dataset.cases[3], image=tmp_path / "d.mhd")
    image = read_volume(dataset.cases[3].image, np.int16).array
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 14 16 9\nElementSpacing = 2 2 3\n"
        "ElementType = MET_SHORT\nElementDataFile = d.raw\n"
    )
    case.image.write_text(header)
    (tmp_path / "d.raw").write_bytes(image.tobytes())
    only = replace(dataset, cases=(case,))
    build_store(only, SETTINGS, tmp_path / "store")
    build_store(only, SETTINGS, tmp_path / "store")
    assert prepared == ["d"]
    (tmp_path / "d.raw").write_bytes((image + 1).tobytes())
    build_store(only, SETTINGS, tmp_path / "store")
    assert prepared == ["d", "d"]


def test_files_that_only_moved_are_not_prepared_again(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    build_store(dataset, SETTINGS, tmp_path / "store")
    (tmp_path / "raw").rename(tmp_path / "elsewhere")
    moved = tuple(
        replace(
            case,
            image=tmp_path / "elsewhere" / "images" / case.image.name,
            label=case.label and tmp_path / "elsewhere" / "labels" / case.label.name,
        )
        for case in dataset.cases
    )
    prepared.clear()
    store = build_store(replace(dataset, cases=moved), SETTINGS, tmp_path / "store")
    assert prepared == []
    assert store.case("a").source == moved[0].image
    assert store.case("a").label_source == moved[0].label


def test_other_settings_and_other_data_sets_have_stores_of_their_own(
    dataset: Dataset, tmp_path: Path
) -> None:
    other = replace(SETTINGS, order=3)
    folders = {
        store_folder(tmp_path, dataset, SETTINGS),
        store_folder(tmp_path, dataset, other),
        store_folder(tmp_path, replace(dataset, name="other"), SETTINGS),
    }
    assert len(folders) == 3
    store = build_store(dataset, other, tmp_path)
    assert store.folder in folders
    assert store.settings == other


def test_the_interpolation_of_labels_is_a_setting_of_the_store(
    dataset: Dataset, tmp_path: Path
) -> None:
    linear = replace(SETTINGS, label_interpolation="linear")
    assert store_folder(tmp_path, dataset, linear) != store_folder(tmp_path, dataset, SETTINGS)
    store = build_store(dataset, linear, tmp_path)
    assert store.settings == linear
    case = dataset.cases[0]
    assert case.label is not None
    classes = LABELS.encode(read_label(case.label).array)
    stored = store.case(case.id)
    assert np.array_equal(stored.label, prepare_label(classes, stored.grid, "linear"))
    assert not np.array_equal(stored.label, prepare_label(classes, stored.grid))


def test_stores_from_before_labels_had_a_choice_keep_their_names(dataset: Dataset) -> None:
    identity = store_identity(dataset, SETTINGS)
    assert "label_interpolation" not in identity["settings"]
    assert Preprocessing.from_json(identity["settings"]) == SETTINGS


def test_labels_of_unlabelled_cases_are_never_opened(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no volume")
    cases = (*dataset.cases[:3], replace(dataset.cases[3], label=broken))
    opened: list[Path] = []
    hashes = task.sha256_of_bytes
    monkeypatch.setattr(
        task, "sha256_of_bytes", lambda path: (opened.append(path), hashes(path))[1]
    )
    store = build_store(replace(dataset, cases=cases), SETTINGS, tmp_path / "store")
    assert store.case("d").label is None
    assert store.case("d").label_source is None
    assert broken not in opened


def test_failing_cases_are_reported_together_after_the_others(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    good = dataset.cases[0].image.read_bytes()
    dataset.cases[0].image.write_bytes(b"no volume")
    assert dataset.cases[1].label is not None
    write_volume(dataset.cases[1].label, Volume(np.full((9, 16, 14), 4, np.uint8), AFFINE))
    dataset.cases[3].image.unlink()
    seen: list[str] = []
    with pytest.raises(InputError) as caught:
        build_store(
            dataset, SETTINGS, tmp_path / "store", progress=lambda _, __, name: seen.append(name)
        )
    assert len(caught.value.problems) == 3
    for name, problem in zip("abd", caught.value.problems, strict=True):
        assert f"case {name}" in problem
        assert f"{name}.nii.gz" in problem
    assert sorted(seen) == ["a", "b", "c", "d"]
    folder = store_folder(tmp_path / "store", dataset, SETTINGS)
    assert {path.name for path in folder.iterdir()} == {".lock", "c"}
    with pytest.raises(InputError, match="no finished store"):
        open_store(folder)

    dataset.cases[0].image.write_bytes(good)
    prepared.clear()
    remaining = replace(dataset, cases=(dataset.cases[0], dataset.cases[2]))
    assert build_store(remaining, SETTINGS, tmp_path / "store").ids == ("a", "c")
    assert prepared == ["a"]


@pytest.mark.parametrize(
    ("shape", "shift_mm", "message"),
    [((9, 16, 13), 0.0, "equal sizes"), ((9, 16, 14), 0.6, "0.6 mm"), ((9, 16, 14), 0.4, "")],
)
def test_a_label_must_lie_on_its_image(
    dataset: Dataset, tmp_path: Path, shape: tuple[int, ...], shift_mm: float, message: str
) -> None:
    affine = AFFINE.copy()
    affine[0, 3] = shift_mm
    assert dataset.cases[0].label is not None
    write_volume(dataset.cases[0].label, Volume(np.zeros(shape, np.uint8), affine))
    if message:
        with pytest.raises(InputError, match=message):
            build_store(dataset, SETTINGS, tmp_path / "store")
    else:
        build_store(dataset, SETTINGS, tmp_path / "store")


def test_an_interrupted_build_keeps_what_is_finished(
    dataset: Dataset, tmp_path: Path, prepared: list[str]
) -> None:
    def stop(done: int, total: int, case_id: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_store(dataset, SETTINGS, tmp_path / "store", workers=1, progress=stop)
    prepared.clear()
    build_store(dataset, SETTINGS, tmp_path / "store", workers=1)
    assert prepared == ["c", "d"]


BUILD_SCRIPT = """
import os
import sys
from pathlib import Path
from dvcl.datasets.dataset import Dataset
from dvcl.files import read_json
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.store import build_store

if __name__ == "__main__":
    dataset = Dataset.from_json(read_json(sys.argv[1]))
    settings = Preprocessing(spacing_mm=(3.0, 2.5, 2.5))
    # The first finished case brings the signal: no other process has to be fast enough.
    stop = lambda *_: os.kill(os.getpid(), int(sys.argv[3]))
    build_store(dataset, settings, Path(sys.argv[2]), 2, stop)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_build_by_processes_can_be_stopped_and_continued(
    dataset: Dataset, tmp_path: Path, prepared: list[str], how: signal.Signals
) -> None:
    names = [f"case_{number:03d}" for number in range(200)]
    dataset = replace(dataset, cases=tuple(replace(dataset.cases[0], id=name) for name in names))
    write_json(tmp_path / "dataset.json", dataset.to_json())
    (tmp_path / "build.py").write_text(BUILD_SCRIPT)
    command = [sys.executable, "build.py", "dataset.json", "store", str(int(how))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    build = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    assert build.returncode != 0

    folder = store_folder(tmp_path / "store", dataset, SETTINGS)
    # Workers of a killed parent end by themselves; none may add a case from here on.
    time.sleep(0.3)
    finished = {path.name for path in folder.glob("case_*")}
    assert 0 < len(finished) < len(names)
    store = build_store(dataset, SETTINGS, tmp_path / "store", workers=1)
    assert len(prepared) == len(names) - len(finished)
    assert {path.name for path in folder.iterdir()} == {*names, "store.json", ".lock"}
    assert all(np.array_equal(store.case(name).image, store.case(names[0]).image) for name in names)


def test_a_full_disk_is_noticed_before_the_work(
    dataset: Dataset, tmp_path: Path, prepared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 0, 10_000))
    with pytest.raises(InputError, match=r"takes about .* MB, but only 0\.0 MB are free"):
        build_store(dataset, SETTINGS, tmp_path / "store")
    assert prepared == []


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_a_case_with_a_damaged_record_is_prepared_again(
    dataset: Dataset, tmp_path: Path, prepared: list[str], content: str
) -> None:
    store = build_store(dataset, SETTINGS, tmp_path / "store")
    (store.folder / "b" / "case.json").write_text(content)
    prepared.clear()
    assert build_store(dataset, SETTINGS, tmp_path / "store").case("b").id == "b"
    assert prepared == ["b"]


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "organ_voxels.npy"])
@pytest.mark.parametrize("known", [True, False], ids=["with checksum", "earlier version"])
def test_a_damaged_case_is_prepared_again(
    dataset: Dataset, tmp_path: Path, prepared: list[str], name: str, known: bool
) -> None:
    store = build_store(dataset, SETTINGS, tmp_path / "store")
    path, record = store.folder / "b" / name, store.folder / "b" / "case.json"
    if not known:
        write_json(record, {k: v for k, v in read_json(record).items() if k != "checksums"})
        build_store(dataset, SETTINGS, tmp_path / "store")
        assert name in read_json(record)["checksums"], "from now on damage is found"
    prepared.clear()
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: has the checksum .*Prepare the data set again"):
        open_store(store.folder).case("b").check()
    build_store(dataset, SETTINGS, tmp_path / "store")
    assert prepared == ["b"]
    open_store(store.folder).case("b").check()


@pytest.mark.parametrize("name", ["a", "../a", ".hidden", ""])
def test_ids_must_be_folder_names_and_unique(dataset: Dataset, tmp_path: Path, name: str) -> None:
    cases = (*dataset.cases, replace(dataset.cases[0], id=name))
    with pytest.raises(InputError, match=r"occurs 2 times|is no folder name"):
        build_store(replace(dataset, cases=cases), SETTINGS, tmp_path / "store")


def test_a_programming_error_names_its_case(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> Callable[[], None]:
        raise ZeroDivisionError

    monkeypatch.setattr(writing, "prepare_image", fail)
    with pytest.raises(ZeroDivisionError) as caught:
        build_store(dataset, SETTINGS, tmp_path / "store")
    assert "preparing case a" in caught.value.__notes__[0]


@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), NotImplementedError("no")])
def test_without_shared_memory_one_process_is_proposed(
    error: Exception, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dvcl.store.building.ProcessPoolExecutor", refuse)
    with pytest.raises(InputError, match="/dev/shm: cannot be used here .*--workers 1"):
        build_store(dataset, Preprocessing(), tmp_path / "store", workers=2)
    build_store(dataset, Preprocessing(), tmp_path / "store", workers=1)
