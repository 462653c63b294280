"""What exists and where: cases, their roles, and the meaning of label integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from dvcl.errors import InputError, counted

Role = Literal["labelled", "unlabelled", "validation", "test"]
Modality = Literal["CT", "MR"]
ROLES: tuple[Role, ...] = get_args(Role)

LOWEST_VALUE, HIGHEST_VALUE = -(2**15), 2**16 - 1  # label integers fit int16 or uint16
UNKNOWN = 255  # no class index: K is at most 255
LISTED = 10  # unknown values written out in one message


@dataclass(frozen=True)
class LabelTable:
    """The label integers of the files and their names; the position is the class index.

    Attributes:
        values: Label integers as they stand in the files; ``values[0]`` is the background.
        names: One name per value; ``names[0]`` is "background".
        aliases: Pairs (stray value, value that it is read as), for data sets with known slips.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    aliases: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if len(self.values) != len(self.names) or len(set(self.values)) != len(self.values):
            raise InputError(f"label table: values {self.values} and names {self.names} differ.")
        strays = [stray for stray, _ in self.aliases]
        if {*strays} & {*self.values} or not {value for _, value in self.aliases} <= {*self.values}:
            raise InputError(
                f"label table: the aliases {self.aliases} and values {self.values} do not fit; "
                "pairs of another value and one of these were expected."
            )
        if not 2 <= self.classes <= 255:
            raise InputError(
                f"label table: {counted(self.classes - 1, 'organ')}; between 1 and 254 were "
                "expected."
            )

        every = (*self.values, *strays)
        if min(every) < LOWEST_VALUE or max(every) > HIGHEST_VALUE:
            raise InputError(
                f"label table: values {min(every)} to {max(every)}; integers from "
                f"{LOWEST_VALUE} to {HIGHEST_VALUE} were expected (16 bits)."
            )

    @classmethod
    def from_mapping(
        cls, names: Mapping[int, str], aliases: Mapping[int, int] | None = None
    ) -> LabelTable:
        """Build from {label integer: name}; 0 is the background, named or not."""
        organs = sorted(value for value in names if value != 0)
        named = ("background", *(names[value] for value in organs))
        return cls((0, *organs), named, tuple((aliases or {}).items()))

    @property
    def classes(self) -> int:
        """K, the background included."""
        return len(self.values)

    @property
    def organs(self) -> tuple[str, ...]:
        """Names without the background."""
        return self.names[1:]

    def encode(self, array: np.ndarray, source: Path | str = "label map") -> np.ndarray:
        """Turn label integers into class indices, uint8.

        Raises:
            InputError: When the array holds integers outside the table, with their voxel counts.
        """
        array = np.asarray(array)
        places = {value: index for index, value in enumerate(self.values)}
        classes = class_indices(
            array, places | {stray: places[value] for stray, value in self.aliases}
        )
        unknown = classes == UNKNOWN
        if unknown.any():
            self._refuse(*np.unique(array[unknown], return_counts=True), source)
        return classes

    def _refuse(self, values: np.ndarray, counts: np.ndarray, source: Path | str) -> None:
        listed = ", ".join(
            f"{value} ({counted(count, 'voxel')})"
            for value, count in zip(values[:LISTED], counts[:LISTED], strict=True)
        )
        more = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
        table = ", ".join(map(" ".join, self.to_json().items()))
        raise InputError(
            f"{source}: label values {listed}{more} are not in the label table ({table}). "
            "Add them to the labels file or correct the label map."
        )

    def decode(self, classes: np.ndarray) -> np.ndarray:
        """Turn class indices back into the files' integers, in the smallest fitting dtype."""
        values = np.array(self.values)
        fits_byte = values.min() >= 0 and values.max() < 256
        return np.asarray(values.astype(np.uint8 if fits_byte else np.int32)[classes])

    def to_json(self) -> dict[str, str]:
        """{"0": "background", "1": "liver", ...} in class order, then aliases by the same names."""
        names = dict(zip(self.values, self.names, strict=True))
        names |= {stray: names[value] for stray, value in self.aliases}
        return {str(value): name for value, name in names.items()}

    @classmethod
    def from_json(cls, names: Mapping[str, str]) -> LabelTable:
        """Inverse of `to_json`: a name for the second time makes an alias."""
        first: dict[str, int] = {}
        aliases = []
        for key, name in names.items():
            if first.setdefault(name, int(key)) != int(key):
                aliases.append((int(key), first[name]))
        return cls(tuple(first.values()), tuple(first), tuple(aliases))


def class_indices(array: np.ndarray, classes: Mapping[int, int]) -> np.ndarray:
    """Look every integer of an array up: uint8 of its shape, `UNKNOWN` for those without a class.

    Args:
        array: Integers, at least one axis.
        classes: {integer: class index}.
    """
    lookup = _byte_lookup(classes) if array.dtype == np.uint8 else _integer_lookup(classes)
    found = np.empty(array.shape, dtype=np.uint8)
    # Slice by slice: what lies between stays in the processor's cache.
    for index, part in enumerate(array):
        found[index] = lookup(part)
    return found


def _byte_lookup(classes: Mapping[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """For bytes, the usual type of label maps: half the time of the other."""
    table = bytes(classes.get(byte, UNKNOWN) for byte in range(256))
    return lambda part: np.frombuffer(part.tobytes().translate(table), np.uint8).reshape(part.shape)


def _integer_lookup(classes: Mapping[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    lowest, highest = min(classes) - 1, max(classes) + 1
    lookup = np.full(highest - lowest + 1, UNKNOWN, dtype=np.uint8)
    lookup[np.array(list(classes)) - lowest] = list(classes.values())
    return lambda part: lookup.take(np.subtract(part, lowest, dtype=np.intp), mode="clip")


@dataclass(frozen=True)
class Case:
    """One scan.

    Attributes:
        id: Unique in its data set.
        image: The image file.
        label: The label file, or a folder with one mask per organ (see `datasets.masks`); None
            where there is none. Never opened for unlabelled cases.
        role: What the case is for; None leaves it to the split.
        unannotated: Organs that nobody has drawn in this case: in its label map they are
            background, wherever they lie.
        later_mask_wins: Where masks overlap, the later organ of the label table is taken.
        label_values: The integers of the label map count, even where it names its segments.
        pseudo_label: The label map was predicted; nobody has drawn or corrected it.
    """

    id: str
    image: Path
    label: Path | None = None
    role: Role | None = None
    unannotated: tuple[str, ...] = ()
    later_mask_wins: bool = False
    label_values: bool = False
    pseudo_label: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values, with absolute paths."""
        return {
            "id": self.id,
            "image": str(self.image.absolute()),
            "label": str(self.label.absolute()) if self.label else None,
            "role": self.role,
            **({"unannotated": list(self.unannotated)} if self.unannotated else {}),
            **({"later_mask_wins": True} if self.later_mask_wins else {}),
            **({"label_values": True} if self.label_values else {}),
            **({"pseudo_label": True} if self.pseudo_label else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Case:
        """Inverse of `to_json`."""
        return cls(
            value["id"],
            Path(value["image"]),
            Path(value["label"]) if value["label"] else None,
            value["role"],
            tuple(value.get("unannotated", ())),
            value.get("later_mask_wins", False),
            value.get("label_values", False),
            value.get("pseudo_label", False),
        )


@dataclass(frozen=True)
class Dataset:
    """All cases of one study and the meaning of their labels.

    Attributes:
        name: In reports.
        modality: "CT" or "MR".
        cases: In their order.
        labels: Meaning of the label integers.
        notes: What lies beside the cases and is not used; `check` and `prepare` tell it.
    """

    name: str
    modality: Modality
    cases: tuple[Case, ...]
    labels: LabelTable
    notes: tuple[str, ...] = ()

    def with_role(self, role: Role | None) -> tuple[Case, ...]:
        """The cases of one role, in their order."""
        return tuple(case for case in self.cases if case.role == role)

    def named(self, name: str) -> Dataset:
        """The same cases under another name."""
        return replace(self, name=name)

    def to_json(self) -> dict[str, Any]:
        """Plain values, with absolute paths."""
        return {
            "name": self.name,
            "modality": self.modality,
            "labels": self.labels.to_json(),
            "cases": [case.to_json() for case in self.cases],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Dataset:
        """Inverse of `to_json`."""
        cases = tuple(Case.from_json(case) for case in value["cases"])
        return cls(value["name"], value["modality"], cases, LabelTable.from_json(value["labels"]))
