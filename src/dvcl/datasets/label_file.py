"""Label tables written by people: {"1": "liver"} or {"liver": 1}."""

from __future__ import annotations

from pathlib import Path

from dvcl.datasets.dataset import HIGHEST_VALUE, LOWEST_VALUE, LabelTable
from dvcl.errors import InputError, shown
from dvcl.files import read_json

MAX_ORGANS = 254  # class indices are uint8 and 0 is the background


def read_label_table(path: Path) -> LabelTable:
    """Read a labels file.

    Raises:
        InputError: When the file is missing, is not JSON, or is no label table; lists every fault.
    """
    absent = 'Check the path, or write the file: {"1": "liver", "2": "spleen"}.'
    return parse_label_table(read_json(path, absent=absent), path)


def parse_label_table(entries: object, source: Path) -> LabelTable:
    """Turn {"1": "liver"} or {"liver": 1} into a table; ``source`` is named in the errors.

    Raises:
        InputError: With every entry that is no pair of integer and name, values or names that
            occur twice, and a 0 that is not the background.
    """
    if not isinstance(entries, dict) or not entries:
        raise InputError(
            f"{source}: the labels are {shown(entries)}; expected "
            '{"1": "liver", "2": "spleen"} or {"liver": 1, "spleen": 2}.'
        )
    if len(entries) > MAX_ORGANS + 1:
        raise InputError(
            f"{source}: has {len(entries)} entries; at most {MAX_ORGANS} organs and the background "
            "were expected."
        )
    problems: list[str] = []
    names: dict[int, str] = {}
    for key, entry in entries.items():
        pair = _value_and_name(key, entry)
        problem = _fault(key, entry) if pair is None else _clash(*pair, names)
        if problem:
            problems.append(f"{source}: {problem}")
        elif pair:
            names[pair[0]] = pair[1]
    organs = len(names.keys() - {0})
    if not problems and not 1 <= organs <= MAX_ORGANS:
        problems.append(f"{source}: names {organs} organs; 1 to {MAX_ORGANS} were expected.")
    if problems:
        raise InputError(problems)
    return LabelTable.from_mapping(names)


def _value_and_name(key: str, entry: object) -> tuple[int, str] | None:
    value = _integer(key)
    if value is not None and isinstance(entry, str) and entry.strip():
        return value, entry.strip()
    value = _integer(entry)
    if value is not None and _integer(key) is None and key.strip():
        return value, key.strip()
    return None


def _integer(entry: object) -> int | None:
    if isinstance(entry, int) and not isinstance(entry, bool):
        return entry
    # Python turns no text of more than some thousand digits into a number.
    if isinstance(entry, str) and entry.strip().removeprefix("-").isdecimal() and len(entry) < 99:
        return int(entry)
    return None


def _fault(key: str, entry: object) -> str:
    if isinstance(entry, list):
        return (
            f"{shown(key)} joins the labels {shown(entry)} into one region; one integer per organ "
            "was expected. Give each integer its own name."
        )
    return (
        f"{shown(key)}: {shown(entry)} is no label; expected an integer and a name, as "
        '"1": "liver" or "liver": 1.'
    )


def _clash(value: int, name: str, names: dict[int, str]) -> str:
    if not LOWEST_VALUE <= value <= HIGHEST_VALUE:
        return f"the value {value} is outside {LOWEST_VALUE} to {HIGHEST_VALUE} (16 bits)."
    if value in names:
        return (
            f"the value {value} is both {shown(names[value])} and {shown(name)}. Keep one of them."
        )
    if name in names.values():
        return f"the name {shown(name)} is given to two values. Give each value its own name."
    if value == 0 and name.casefold() != "background":
        return (
            f"the value 0 is named {shown(name)}; 0 is always the background. "
            'Call it "background", or give the organ another integer in the label maps too.'
        )
    return ""
