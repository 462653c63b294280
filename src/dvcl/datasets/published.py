"""What the published data sets have in common: their record, and folders read as distributed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvcl.datasets.dataset import Case, Dataset, LabelTable, Modality
from dvcl.datasets.pairing import archive_notes, contents, duplicate_ids, is_archive
from dvcl.errors import InputError, counted
from dvcl.volume import is_volume, volume_stem

LISTED = 5  # missing numbers written out in one message


@dataclass(frozen=True)
class Published:
    """What is known about a published data set.

    Attributes:
        name: In `LAYOUTS`, in the recipes and in reports.
        title: In full.
        citation: What to cite.
        licence: As far as it could be found.
        page: Where it is described and can be asked for.
        organs: {label value: name}, without the background.
        modalities: What it holds, the default first.
        aliases: {stray label value: value it is read as}; `dvcl check` counts their voxels.
    """

    name: str
    title: str
    citation: str
    licence: str
    page: str
    organs: Mapping[int, str]
    modalities: tuple[Modality, ...] = ("CT",)
    aliases: Mapping[int, int] | None = None

    @property
    def labels(self) -> LabelTable:
        """The meaning of the label values."""
        return LabelTable.from_mapping(self.organs, self.aliases or {})

    def choose(self, modality: Modality | None) -> Modality:
        """The modality asked for, or the default.

        Raises:
            InputError: When the data set does not hold it.
        """
        if modality is not None and modality not in self.modalities:
            raise InputError(
                f"{self.name}: modality {modality!r} found; {' or '.join(self.modalities)} "
                "expected. Leave out --modality."
            )
        return modality or self.modalities[0]

    def require(self, folder: Path, expected: Sequence[str]) -> None:
        """Refuse a folder that is not laid out as distributed.

        Args:
            folder: What was given.
            expected: Patterns of what lies in it.

        Raises:
            InputError: With what was expected and what lies there.
        """
        if _holds(folder, expected):
            return
        entries = sorted(folder.glob("[!.]*")) if folder.is_dir() else []
        found = ", ".join(path.name for path in entries[:LISTED])
        there = f"{contents(folder)} ({found})" if folder.is_dir() else "no such folder"
        hints = [f" Perhaps {path}?" for path in entries if _holds(path, expected)]
        if any(map(is_archive, entries)):
            hints.append(" Unpack the archives first.")
        raise InputError(
            f"{folder}: is not {self.title} as distributed; expected {', '.join(expected)} in it, "
            f"found {there}. Give the folder that holds {expected[0].partition('/')[0]}; "
            f"{self.page} describes the data.{''.join(hints)}"
        )

    def dataset(
        self,
        modality: Modality,
        cases: Sequence[Case],
        problems: Sequence[str],
        notes: Sequence[str] = (),
    ) -> Dataset:
        """The data set, when nothing is wrong; with notes on what lies beside its cases.

        Raises:
            InputError: With all problems.
        """
        problems = [*problems, *duplicate_ids(cases)]
        if problems:
            raise InputError(
                problems, heading=f"{self.title} cannot be used as it is (see {self.page}):"
            )
        told = (*notes, *archive_notes(cases))
        return Dataset(self.name, modality, tuple(cases), self.labels, told)


def numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """{number: volume} of the files whose stem matches ``pattern``, whose group is the number.

    Everything else in the folder, and a folder that is missing, is left aside.

    Raises:
        InputError: When two files have one number, as .nii and .nii.gz.
    """
    if not folder.is_dir():
        return {}
    volumes = (path for path in sorted(folder.iterdir()) if is_volume(path) and path.is_file())
    found: dict[int, Path] = {}
    for path in volumes:
        if match := re.fullmatch(pattern, volume_stem(path)):
            first = found.setdefault(int(match[1]), path)
            if first != path:
                raise InputError(
                    f"{path}: {first.name} is the same case; one file per case was expected. "
                    "Remove one of them."
                )
    return found


def paired(
    images: Mapping[int, Path],
    labels: Mapping[int, Path],
    expected: Sequence[int] | int,
    name: str,
    where: Path,
    problems: list[str],
) -> list[Case]:
    """Pair images and labels by their numbers, and compare these with what is distributed.

    The cases have no role: none of these data sets says which of its labelled cases are for what.

    Args:
        images: {number: file}.
        labels: {number: file}.
        expected: The numbers of the distributed cases, or how many there are.
        name: Of an image without suffix, as "img{:04d}"; it is the id of the case.
        where: Their folder, for messages.
        problems: Receives what is missing or left over.
    """
    for number in sorted(images.keys() ^ labels.keys()):
        have, lack = ("image", "label") if number in images else ("label", "image")
        path = images.get(number) or labels[number]
        problems.append(
            f"{path}: is the {have} of case {number:04d}, which has no {lack}. Copy the {lack} "
            "too; an image without label is better kept in a folder of unlabelled ones."
        )
    there = sorted(images.keys() & labels.keys())
    problems += _count_problem(there, expected, name, where)
    return [Case(name.format(n), images[n], labels[n]) for n in there]


def unlabelled(images: Mapping[int, Path], name: str) -> list[Case]:
    """Unlabelled cases, by number; ``name`` as for `paired`."""
    return [Case(name.format(n), path, None, "unlabelled") for n, path in sorted(images.items())]


def _holds(folder: Path, expected: Sequence[str]) -> bool:
    return folder.is_dir() and all(any(folder.glob(pattern)) for pattern in expected)


def _count_problem(
    there: Sequence[int], expected: Sequence[int] | int, name: str, where: Path
) -> list[str]:
    wanted = expected if isinstance(expected, int) else len(expected)
    lacking = [] if isinstance(expected, int) else sorted(set(expected) - set(there))
    # More cases than distributed can only have been added on purpose.
    if len(there) >= wanted and not lacking:
        return []
    numbers = ", ".join(name.format(number) for number in lacking[:LISTED])
    more = f" and {len(lacking) - LISTED} more" if len(lacking) > LISTED else ""
    missing = f"; missing: {numbers}{more}" if lacking else ""
    return [
        f"{where}: {counted(len(there), 'case')} with image and label found, {wanted} "
        f"expected{missing}. Copy the missing files, or use a part of the data as plain folders "
        "(--labelled)."
    ]
