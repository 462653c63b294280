"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvcl.errors import quoted

Work = Annotated[Path, typer.Argument(help="Folder of the study; `dvcl prepare` makes it.")]
Changes = Annotated[
    list[str], typer.Option("--set", help="Change a setting: training.iterations=500.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Fast = Annotated[
    bool, typer.Option("--fast", help="Little window overlap, air skipped: faster, less exact.")
]
Mirror = Annotated[
    bool, typer.Option("--mirror", help="Also over mirrored windows, where training had them.")
]

KeepLargest = Annotated[
    list[str], typer.Option(help="Organ; instead of those in one part in training.")
]
NoKeepLargest = Annotated[
    bool, typer.Option("--no-keep-largest", help="Keep all parts of all organs.")
]

Workers = Annotated[int | None, typer.Option(min=1, help="Processes; chosen by default.")]
SlurmJobs = Annotated[
    int | None, typer.Option("--slurm", min=1, help="Share the scans among so many jobs of Slurm.")
]
SlurmOptions = Annotated[
    list[str], typer.Option("--slurm-option", help="With --slurm, of sbatch: partition=gpu.")
]

# Which scans: plain folders, or one folder in a known layout.
Labelled = Annotated[
    Path | None, typer.Option(help="Folder with images/ and labels/.", show_default=False)
]
Unlabelled = Annotated[
    list[Path], typer.Option(help="Folder of images without labels; may be repeated.")
]
Validation = Annotated[
    Path | None, typer.Option(help="As --labelled; chooses the best weights.", show_default=False)
]
Test = Annotated[
    Path | None, typer.Option(help="As --labelled; only ever scored.", show_default=False)
]
Labels = Annotated[
    Path | None,
    typer.Option(help='JSON file with organ names, {"1": "liver", ...}.', show_default=False),
]
Data = Annotated[
    Path | None, typer.Option(help="One folder instead, in a known layout.", show_default=False)
]
Layout = Annotated[
    str, typer.Option(help="Of --data: nnunet (Decathlon too), flare22, amos22, btcv, mmwhs.")
]
Modality = Annotated[
    str | None,
    typer.Option(help="CT or MR; CT for plain folders, else as found.", show_default=False),
]

Partial = Annotated[
    bool, typer.Option("--partial", help="Take cases that lack masks; their loss ignores these.")
]
Overlaps = Annotated[
    bool, typer.Option("--overlaps", help="Where masks overlap, the later organ wins.")
]
LabelValues = Annotated[
    bool, typer.Option("--label-values", help="Trust integers, where label maps also have names.")
]
AllowOverlap = Annotated[
    bool, typer.Option("--allow-overlap", help="Even if one scan is in two parts.")
]

# Which case is for what, where a data set leaves it open.
ValidationShare = Annotated[
    float | None,
    typer.Option(help="Of labelled cases, where none are given for validation; the recipe's."),
]
TestShare = Annotated[
    float | None, typer.Option(help="Of labelled cases without a role; the recipe's.")
]
SplitSeed = Annotated[
    int | None, typer.Option(min=0, help="Of the division into parts; the recipe's.")
]


def typed(*words: Path | str, **options: Path | str | bool | list[Path] | None) -> str:
    """A command as it is typed into a shell, from the options that a command was given.

    Args:
        words: The command and its arguments.
        options: By their parameters' names; those that are not given are left out.
    """
    text = [quoted(word) for word in words]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        for each in value if isinstance(value, list) else [value]:
            if each is True:
                text.append(option)
            elif each:
                text.append(f"{option} {quoted(each)}")
    return " ".join(text)


def kept_parts(keep_largest: list[str], no_keep_largest: bool) -> list[str] | None:
    """Organs of which the largest part is kept; None for those that training decides.

    Raises:
        InputError: With both options.
    """
    from dvcl.errors import InputError

    if no_keep_largest and keep_largest:
        raise InputError("--keep-largest and --no-keep-largest: one of both was expected.")
    return [] if no_keep_largest else keep_largest or None
