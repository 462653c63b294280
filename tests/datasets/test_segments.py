"""Label maps that name their regions: names count, and what they leave open is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.commands.evaluate import score_folder
from dvcl.datasets import load_folders
from dvcl.datasets.checks import check_dataset, inspect_dataset
from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.datasets.masks import read_case_label
from dvcl.errors import InputError
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.store import build_store
from dvcl.volume import Segment, Volume, read_segments, write_volume

pytest.importorskip("SimpleITK")

AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])
SHAPE = (4, 5, 6)
TABLE = LabelTable((0, 1, 2), ("background", "bright liver", "dark"))
Slices = dict[int, int]  # {slice: value}


def array_of(values: Slices) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    for place, value in values.items():
        array[place] = value
    return array


def write_nrrd(path: Path, segments: Sequence[Segment], *layers: Slices) -> Path:
    """A segmentation as 3D Slicer saves it, on the grid of AFFINE."""
    arrays = [array_of(layer) for layer in layers]
    several = len(layers) > 1
    names = "".join(
        f"Segment{i}_Name:={s.name}\nSegment{i}_LabelValue:={s.value}\nSegment{i}_Layer:={s.layer}\n"
        for i, s in enumerate(segments)
    )
    header = (
        f"NRRD0004\ntype: unsigned char\ndimension: {3 + several}\n"
        "space: right-anterior-superior\n"
        f"sizes: {f'{len(layers)} ' if several else ''}6 5 4\n"
        f"space directions: {'none ' if several else ''}(-2,0,0) (0,-3,0) (0,0,4)\n"
        f"kinds: {'list ' if several else ''}domain domain domain\n"
        f"encoding: raw\nspace origin: (10,20,-30)\n{names}\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + np.stack(arrays, axis=-1).tobytes())
    return path


def write_nifti(path: Path, segments: Sequence[Segment], layer: Slices) -> Path:
    """A label map with TotalSegmentator's table in the header."""
    labels = "".join(
        f'<Label Key="{s.value}" Red="0" Alpha="1"><![CDATA[{s.name}]]></Label>\n' for s in segments
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension> <VolumeInformation Index="0">'
        f"<LabelTable>\n{labels}</LabelTable></VolumeInformation></CaretExtension>\n      "
    )
    image = nibabel.Nifti1Image(array_of(layer).T, AFFINE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, text.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


WRITERS = {".seg.nrrd": write_nrrd, ".nrrd": write_nrrd, ".nii.gz": write_nifti}
Write = Callable[[Path, Sequence[Segment], Slices], Path]


def read(path: Path, labels: LabelTable = TABLE, **options: bool) -> list[int]:
    """The label of every slice."""
    case = Case("a", path, path, "labelled", **options)
    return read_case_label(case, labels).array[:, 0, 0].tolist()


def problems_of(path: Path, labels: LabelTable = TABLE, **options: bool) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, labels, **options)
    return error.value.problems


SWAPPED = (Segment("Bright_Liver", 2), Segment("DARK", 1))


@pytest.mark.parametrize("suffix", WRITERS)
def test_names_count_and_not_numbers(tmp_path: Path, suffix: str) -> None:
    path = WRITERS[suffix](tmp_path / f"a{suffix}", SWAPPED, {0: 2, 1: 1, 2: 2})
    assert read_segments(path) == SWAPPED
    assert read(path) == [1, 2, 1, 0]
    assert read(path, label_values=True) == [2, 1, 2, 0]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({1: "bright liver", 2: "dark"}, [1, 2, 0, 0]),
        ({1: "Segment_1", 2: "Segment_7"}, [1, 2, 0, 0]),  # names that say nothing
        ({1: "???", 2: "Dark "}, [1, 2, 0, 0]),
        ({1: "dark", 2: "  BRIGHT  Liver"}, [2, 1, 0, 0]),
        ({1: "dark", 2: "Segment_2"}, None),  # 2 is dark by number, but another one is by name
        ({1: "tumour", 2: "dark"}, None),
        ({2: "dark"}, None),  # 1 has no name
    ],
)
def test_name_or_number_decides_or_neither(
    tmp_path: Path, suffix: str, names: dict[int, str], expected: list[int] | None
) -> None:
    segments = [Segment(name, value) for value, name in names.items()]
    path = WRITERS[suffix](tmp_path / f"a{suffix}", segments, {0: 1, 1: 2})
    if expected:
        assert read(path) == expected
        return
    (problem,) = problems_of(path)
    assert problem.startswith(f"{path}: its segments ")
    assert "are not in the label table by name (1 bright liver, 2 dark); so neither" in problem
    assert "--label-values" in problem
    assert read(path, label_values=True) == [1, 2, 0, 0]


def test_both_numberings_are_told(tmp_path: Path) -> None:
    segments = [Segment("tumour", 1), Segment("dark", 2), Segment("cyst", 5)]
    path = write_nrrd(tmp_path / "a.seg.nrrd", segments, {0: 1, 1: 2, 2: 5, 3: 7})
    (problem,) = problems_of(path)
    assert "its segments 1 tumour, 5 cyst, 7 without a name are not in the label" in problem


def test_segments_without_voxels_do_not_matter(tmp_path: Path) -> None:
    """TotalSegmentator's table has 117 names, whatever the scan shows."""
    segments = [Segment("dark", 9), *(Segment(f"rib {n}", 10 + n) for n in range(100))]
    path = write_nifti(tmp_path / "a.nii.gz", segments, {0: 9})
    assert read(path) == [2, 0, 0, 0]


def test_layers_may_lie_on_each_other(tmp_path: Path) -> None:
    segments = [Segment("dark", 1, 0), Segment("bright liver", 1, 1)]
    path = write_nrrd(tmp_path / "a.seg.nrrd", segments, {0: 1, 1: 1}, {1: 1, 2: 1})
    assert problems_of(path) == [
        f"{path}: 30 voxels are both dark and bright liver; one organ per voxel was expected. "
        "Correct the masks, or let the later organ of the label table win with --overlaps."
    ]
    assert read(path, later_mask_wins=True) == [2, 2, 1, 0]
    apart = write_nrrd(tmp_path / "b.seg.nrrd", segments, {0: 1}, {2: 1})
    assert read(apart) == [2, 0, 1, 0]


def test_slicer_before_4_11_has_a_layer_for_every_segment(tmp_path: Path) -> None:
    segments = [Segment("dark", 1, 0), Segment("bright liver", 1, 1)]
    path = write_nrrd(tmp_path / "a.seg.nrrd", segments, {0: 1}, {2: 1})
    lines = path.read_bytes().split(b"\n")
    kept = [line for line in lines if b"_LabelValue" not in line and b"_Layer" not in line]
    path.write_bytes(b"\n".join(kept))
    assert read(path) == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"LabelValue:=2", b"LabelValue:=two", "Segment0_LabelValue is 'two'; an integer"),
        (b"LabelValue:=1", b"LabelValue:=2", "its value 2 is named both 'Bright_Liver' and 'DARK'"),
    ],
)
def test_damaged_fields_are_named(tmp_path: Path, old: bytes, new: bytes, expected: str) -> None:
    path = write_nrrd(tmp_path / "a.seg.nrrd", SWAPPED, {0: 1})
    path.write_bytes(path.read_bytes().replace(old, new))
    (problem,) = problems_of(path)
    assert problem.startswith(f"{path}: ")
    assert expected in problem


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"</LabelTable>", b"</LabelTable "),
        (b'encoding="UTF-8"', b'encoding="UTF-9"'),
        (b'encoding="UTF-8"', b'encoding="cp932"'),
    ],
)
def test_a_damaged_table_of_a_nifti_is_named(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = write_nifti(tmp_path / "a.nii", SWAPPED, {0: 1})
    path.write_bytes(path.read_bytes().replace(old, new))
    (problem,) = problems_of(path)
    assert "a.nii: the label table in its header is damaged (" in problem


@pytest.fixture
def write_scan(write_image) -> Callable[..., Dataset]:
    """write_scan(folder, {"a": (segments, slices)}, **options) -> data set of plain folders."""

    def write(
        folder: Path, maps: dict[str, tuple[Sequence[Segment], Slices]], **options
    ) -> Dataset:
        for id, (segments, slices) in maps.items():
            write_image(folder / "images" / f"{id}.nii.gz")
            write_nrrd(folder / "labels" / f"{id}.seg.nrrd", segments, slices)
        return load_folders(folder, **options)

    return write


def labels_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "labels.json"
    path.write_text(json.dumps({"1": "bright liver", "2": "dark"}))
    return path


def test_check_tells_that_names_count(tmp_path: Path, write_scan) -> None:
    dataset = write_scan(
        tmp_path, {"a": (SWAPPED, {0: 2, 1: 1, 2: 2})}, labels=labels_file(tmp_path)
    )
    inspection = inspect_dataset(dataset)
    (finding,) = (f for f in inspection.findings if f.code == "segments-by-name")
    assert finding.severity == "note"
    assert "their names count: 2 Bright_Liver is 1, 1 DARK is 2." in finding.text
    assert inspection.reports[0].organs["bright liver"].voxels == 60
    trusted = write_scan(
        tmp_path, {"a": (SWAPPED, {0: 2, 1: 1, 2: 2})}, labels=labels_file(tmp_path),
        label_values=True,
    )  # fmt: skip
    inspection = inspect_dataset(trusted)
    assert "segments-by-name" not in [finding.code for finding in inspection.findings]
    assert inspection.reports[0].organs["bright liver"].voxels == 30
    assert Dataset.from_json(trusted.to_json()) == trusted


def test_names_reach_the_prepared_labels_and_the_key_of_the_case(
    tmp_path: Path, write_scan
) -> None:
    """Another name in the table is another class; what names do not reach is not done again."""
    dataset = write_scan(tmp_path, {"a": (SWAPPED, {0: 2})}, labels=labels_file(tmp_path))
    settings = Preprocessing(spacing_mm=(4.0, 3.0, 2.0))
    label = build_store(dataset, settings, tmp_path / "store").case("a").label
    assert set(np.unique(label)) == {0, 1}
    exchanged = Dataset(
        "own", "CT", dataset.cases, LabelTable((0, 1, 2), ("background", "dark", "bright liver"))
    )
    label = build_store(exchanged, settings, tmp_path / "store").case("a").label
    assert set(np.unique(label)) == {0, 2}


def test_without_a_labels_file_names_make_the_table(tmp_path: Path, write_scan) -> None:
    """Numbers that agree stand; numbers that differ from file to file do not."""
    agree = {"a": ((Segment("spleen", 7), Segment("liver", 3)), {0: 7, 1: 3}),
             "b": ((Segment("Liver", 3), Segment("colon", 9)), {0: 3})}  # fmt: skip
    table = write_scan(tmp_path / "agree", agree).labels
    assert table.to_json() == {"0": "background", "3": "liver", "7": "spleen"}
    differ = {"a": ((Segment("spleen", 1), Segment("liver", 2)), {0: 1, 1: 2}),
              "b": ((Segment("liver", 1),), {0: 1})}  # fmt: skip
    dataset = write_scan(tmp_path / "differ", differ)
    assert dataset.labels.to_json() == {"0": "background", "1": "liver", "2": "spleen"}
    check_dataset(dataset)
    assert [read(case.label, dataset.labels) for case in dataset.cases] == [
        [2, 1, 0, 0], [1, 0, 0, 0],
    ]  # fmt: skip
    trusted = write_scan(tmp_path / "differ", differ, label_values=True)
    assert trusted.labels.organs == ("label 1", "label 2")


def test_some_names_and_some_numbers_need_a_labels_file(
    tmp_path: Path, write_scan, write_case
) -> None:
    write_case(tmp_path, "b")
    with pytest.raises(InputError, match=r"a\.seg\.nrrd and 0 more name their segments, .*b\.nii"):
        write_scan(tmp_path, {"a": (SWAPPED, {0: 2})})


def test_references_and_predictions_are_scored_by_name(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "references" / "a.seg.nrrd", SWAPPED, {0: 2, 1: 1})
    prediction = Volume(array_of({0: 1, 1: 2}), AFFINE)
    write_volume(tmp_path / "plain" / "a.nii.gz", prediction)
    write_nifti(tmp_path / "named" / "a.nii.gz", (Segment("dark", 5), Segment("bright liver", 6)),
                {0: 6, 1: 5})  # fmt: skip
    labels = labels_file(tmp_path)
    for folder in ("plain", "named"):
        scores = score_folder(
            tmp_path / folder, tmp_path / "references", labels, tmp_path / "cases.csv"
        )
        assert [score.dice for score in scores] == [1, 1]
    numbers = score_folder(
        tmp_path / "plain", tmp_path / "references", labels, tmp_path / "cases.csv",
        label_values=True,
    )  # fmt: skip
    assert [score.dice for score in numbers] == [0, 0]
    labels.unlink()
    with pytest.raises(InputError, match=r"a\.seg\.nrrd: is one of 1 reference that name their"):
        score_folder(tmp_path / "plain", tmp_path / "references", None, tmp_path / "cases.csv")
