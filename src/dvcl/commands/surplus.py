"""Words of a command line that no argument takes: mostly folders of scans that want an option."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

from dvcl.datasets.pairing import are_case_folders
from dvcl.errors import InputError, quoted


def refuse_surplus(
    words: Sequence[str], surplus: Sequence[str], options: Collection[str], work: Path | None
) -> NoReturn:
    """Refuse words that stand where no argument was expected.

    Args:
        words: As they were typed, from "dvcl" on.
        surplus: Those of them that nothing takes.
        options: Of the command, by their parameters' names.
        work: The study that it names; None where it names none.

    Raises:
        InputError: With the command as it was probably meant, where that can be told.
    """
    found = f"{words[1]}: {' '.join(map(quoted, surplus))} found"
    if "data" not in options or "path" in options:
        raise InputError(
            f"{found}, nothing more was expected. Leave it out; what the command takes tells: "
            f"dvcl {words[1]} --help"
        )
    meant, asked = [*words], [_option(Path(word), work) for word in surplus]
    for option, word in zip(asked, surplus, strict=True):
        # From behind: a word that is also an option's value stands there first.
        at = len(meant) - 1 - meant[::-1].index(word)
        meant[at : at + 1] = [option, word]
    if not {"--labelled", "--data", "--add"} & {*meant}:
        meant += ["--labelled", "DIR"]
    raise InputError(
        f"{found}, an option in front of it was expected: --labelled for a folder with images/ and "
        "labels/ (--validation and --test for more of them), --unlabelled for one of images alone, "
        f"--data for one in a known layout. Probably: {' '.join(map(quoted, meant))}"
    )


def _option(folder: Path, work: Path | None) -> str:
    """The one that a folder wants by what is in it."""
    if work and (work / "project.json").exists():
        return "--add"
    if (folder / "dataset.json").is_file():
        return "--data"
    if not folder.is_dir() or (folder / "labels").is_dir() or are_case_folders(folder):
        return "--labelled"
    return "--unlabelled"
