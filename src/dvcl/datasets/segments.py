"""Label maps whose files name their regions: what counts is the name, not the number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dvcl.datasets.dataset import UNKNOWN, LabelTable, class_indices
from dvcl.datasets.label_file import MAX_ORGANS
from dvcl.errors import InputError
from dvcl.volume import Geometry, Segment, Volume, read_label_layers, read_segments
from dvcl.volume.dicom_seg import placed_on
from dvcl.volume.grid import Remark
from dvcl.volume.turning import turned_like

# Names that say no more than a number does: "Segment_1", "label 3", "???".
GENERIC = re.compile(r"(segment|label|class|region|value)?\s*\d*|\?+")
LISTED = 10


def read_named_label(
    path: Path,
    segments: Sequence[Segment],
    labels: LabelTable,
    later_wins: bool = False,
    grid: Geometry | None = None,
) -> Volume:
    """Read a label map that names its segments, with the integers that ``labels`` has for them.

    A segment without a name of its own ("Segment_1") keeps its integer.

    Args:
        path: Of the label map.
        segments: That it names.
        labels: Meaning of the integers of the result.
        later_wins: Where layers overlap, the later organ of ``labels`` is taken.
        grid: Of the image, for files that hold a part of its slices.

    Returns:
        Label integers; a remark says which numbers have changed.

    Raises:
        InputError: With all segments that have voxels and are in doubt, with both numberings; with
            all organs that overlap; as `read_label_layers`.
    """
    known = _classes_by_value(segments, labels)
    merged: Volume | None = None
    problems: list[str] = []
    for number, layer in enumerate(read_label_layers(path)):
        of_layer = {value: index for (place, value), index in known.items() if place == number}
        classes = class_indices(layer.array, {0: 0} | of_layer)
        if classes.max() == UNKNOWN:
            values = np.unique(layer.array[classes == UNKNOWN]).tolist()
            problems.append(_doubt(path, values, number, segments, labels))
        elif merged is None:
            merged = replace(layer, array=classes)
        else:
            if not later_wins:
                problems += _overlaps(path, merged.array, classes, labels)
            np.maximum(merged.array, classes, out=merged.array)
    if problems or merged is None:
        raise InputError(problems or f"{path}: holds no segment; at least one was expected.")
    if grid is not None:
        merged = placed_on(path, turned_like(merged, grid), grid)
    remarks = (*merged.remarks, *_renumbered(segments, known, labels))
    return replace(merged, array=labels.decode(merged.array), remarks=remarks)


def present_segments(path: Path, label_values: bool = False) -> tuple[Segment, ...]:
    """The segments of a label map that have voxels; without a name they are called "label N".

    Args:
        path: Of the label map.
        label_values: Leave the file's own names aside.

    Raises:
        InputError: When the file cannot be read.
    """
    names = {} if label_values else {(s.layer, s.value): s.name for s in read_segments(path)}
    return tuple(
        Segment(names.get((number, value), f"label {value}"), value, number)
        for number, layer in enumerate(read_label_layers(path))
        for value in np.unique(layer.array).tolist()
        if value != 0
    )


def table_of_segments(found: Mapping[Path, Sequence[Segment]]) -> LabelTable:
    """The label table of label maps without a labels file.

    The integers of the files stand where they mean the same in all of them; else the organs are
    numbered from 1 on in the order of their names.

    Raises:
        InputError: When there is no organ or too many, or some files name their segments and others
            do not.
    """
    _check_all_or_none(found)
    values: dict[str, set[int]] = {}
    names: dict[str, str] = {}
    for segment in (segment for segments in found.values() for segment in segments):
        values.setdefault(_plain(segment.name), set()).add(segment.value)
        names.setdefault(_plain(segment.name), segment.name)
    if not values:
        raise InputError("the label maps hold nothing but background (0); organs were expected.")
    if len(values) > MAX_ORGANS:
        every = {value for of_name in values.values() for value in of_name}
        raise InputError(
            f"the label maps hold {len(values)} different integers, from {min(every)} to "
            f"{max(every)}; at most {MAX_ORGANS} organs were expected. Are they images?"
        )
    single = {min(of_name): name for name, of_name in values.items() if len(of_name) == 1}
    if len(single) == len(values):
        return LabelTable.from_mapping({value: names[name] for value, name in single.items()})
    return LabelTable.from_mapping(dict(enumerate((names[n] for n in sorted(names)), start=1)))


def overlap_in_words(path: Path, count: int, first: str, second: str) -> str:
    """A line of an error: voxels of two organs."""
    return (
        f"{path}: {count} voxel{'s are' if count != 1 else ' is'} both {first} and {second}; "
        "one organ per voxel was expected. Correct the masks, or let the later organ of the "
        "label table win with --overlaps."
    )


def _plain(name: str) -> str:
    """Upper and lower case do not count, and an underscore is a space."""
    words = unicodedata.normalize("NFC", name).replace("_", " ").split()
    return " ".join(words).casefold()


def _classes_by_value(
    segments: Sequence[Segment], labels: LabelTable
) -> dict[tuple[int, int], int]:
    """{(layer, value): class index} of all segments that are beyond doubt."""
    by_name = {_plain(name): index for index, name in enumerate(labels.names)}
    known = {
        (s.layer, s.value): by_name[_plain(s.name)] for s in segments if _plain(s.name) in by_name
    }
    taken = {*known.values()}
    for segment in segments:
        place = segment.layer, segment.value
        if place in known or segment.value not in labels.values:
            continue
        index = labels.values.index(segment.value)
        says_nothing = GENERIC.fullmatch(_plain(segment.name))
        # The integer decides where one side has no name, and no other segment is that organ.
        if (says_nothing or GENERIC.fullmatch(_plain(labels.names[index]))) and index not in taken:
            known[place] = index
    return known


def _doubt(
    path: Path,
    values: Sequence[int],
    layer: int,
    segments: Sequence[Segment],
    labels: LabelTable,
) -> str:
    names = {s.value: s.name for s in segments if s.layer == layer}
    table = dict(zip(labels.values[1:], labels.organs, strict=True))
    return (
        f"{path}: its segments {_listed({v: names.get(v, 'without a name') for v in values})} are "
        f"not in the label table by name ({_listed(table)}); so neither name nor number says what "
        "they are. Correct the names, add them to the labels file, or trust the numbers with "
        "--label-values."
    )


def _listed(names: Mapping[int, str]) -> str:
    listed = ", ".join(f"{value} {name}" for value, name in [*names.items()][:LISTED])
    return f"{listed} and {len(names) - LISTED} more" if len(names) > LISTED else listed


def _overlaps(
    path: Path, merged: np.ndarray, classes: np.ndarray, labels: LabelTable
) -> Iterator[str]:
    both = (merged != 0) & (classes != 0) & (merged != classes)
    pairs, counts = np.unique([merged[both], classes[both]], axis=1, return_counts=True)
    for (first, second), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        yield overlap_in_words(path, count, labels.names[first], labels.names[second])


def _renumbered(
    segments: Sequence[Segment], known: Mapping[tuple[int, int], int], labels: LabelTable
) -> Iterator[Remark]:
    changed = [
        f"{s.value} {s.name} is {labels.values[known[s.layer, s.value]]}"
        for s in segments
        if (s.layer, s.value) in known and labels.values[known[s.layer, s.value]] != s.value
    ]
    if changed:
        listed = ", ".join(changed[:LISTED])
        more = f" and {len(changed) - LISTED} more" if len(changed) > LISTED else ""
        yield Remark(
            "segments-by-name",
            f"numbers its segments otherwise than the label table; their names count: "
            f"{listed}{more}.",
        )


def _check_all_or_none(found: Mapping[Path, Sequence[Segment]]) -> None:
    def is_named(path: Path) -> bool:
        return any(s.name != f"label {s.value}" for s in found[path])

    named = [path for path in found if is_named(path)]
    nameless = [path for path in found if found[path] and not is_named(path)]
    if named and nameless:
        raise InputError(
            f"{named[0]} and {len(named) - 1} more name their segments, {nameless[0]} and "
            f"{len(nameless) - 1} more do not; nothing says which integer is which organ there. "
            "Give a labels file with --labels, or trust the numbers with --label-values."
        )
