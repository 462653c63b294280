"""Runs that predict together: what they must share, and what decides their prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from dvcl.errors import InputError, shown
from dvcl.files import sha256_of_json
from dvcl.inference.ensemble import Ensemble, mirrored
from dvcl.inference.sliding_window import Window
from dvcl.methods.network_pair import members_of
from dvcl.studies.finding import find_run
from dvcl.studies.run import Run
from dvcl.training.checkpoint import weights_hash


@dataclass(frozen=True)
class Members:
    """Runs whose mean predicts, and how they look at a scan.

    Attributes:
        runs: At least one; organs and preprocessing are those of the first.
        window: Of the prediction.
        mirror: Whether each run also looks at mirrored windows, along the axes of its training.
    """

    runs: tuple[Run, ...]
    window: Window
    mirror: bool = False

    @property
    def first(self) -> Run:
        """For what all have in common."""
        return self.runs[0]

    @property
    def folders(self) -> list[str]:
        """Of the runs, absolute."""
        return [str(run.folder.absolute()) for run in self.runs]

    @cached_property
    def weights(self) -> list[str]:
        """A hash per run; weights of earlier versions have none, and their folder stands for it."""
        return [*map(_weights, self.runs)]

    @property
    def weights_in_short(self) -> str:
        """One hash for all."""
        return self.weights[0] if len(self.runs) == 1 else sha256_of_json(sorted(self.weights))

    @property
    def identity(self) -> list[Any]:
        """What decides a prediction, for hashes: weights, window, mirroring."""
        return [sorted(self.weights), self.window.to_json(), self.mirror]

    @classmethod
    def of(cls, run: Run, window: Window | None = None) -> Members:
        """One run alone; with its recipe's window where no other is given."""
        return cls((run,), window or run.recipe.window)

    def ensemble(
        self, device: torch.device, *, apart: bool = False, disagreement: bool = False
    ) -> Ensemble:
        """All networks, ready to predict; two that one run has trained are two members.

        Args:
            device: Where they predict.
            apart: See `Ensemble`.
            disagreement: See `Ensemble`.

        Raises:
            InputError: When a run has no weights yet or they do not fit.
        """
        methods = [run.trained_method(device) for run in self.runs]
        alone = len(methods) == 1
        members = tuple(
            mirrored(part, run.recipe.sampling.flips) if self.mirror else part
            for run, method in zip(self.runs, methods, strict=True)
            for part in (members_of(method) if alone else (method.predict,))
        )
        return Ensemble(members, self.first.labels.classes, apart, disagreement)


def open_members(folders: Sequence[Path], *, fast: bool = False, mirror: bool = False) -> Members:
    """Open runs that are to predict together.

    Args:
        folders: Of the runs.
        fast: With windows that barely overlap.
        mirror: Also look at mirrored windows.

    Raises:
        InputError: When a folder holds no run, one is named twice, the runs differ in what they
            must share, or one has not learned from mirrored patches and is to look at them; lists
            every such run.
    """
    runs = tuple(map(find_run, folders))
    if problems := [*_repeated(runs)]:
        raise InputError(
            problems,
            "The mean of runs was asked for, in which each is to count once. Name each of them "
            "once, and leave out copies:",
        )
    if problems := [problem for run in runs[1:] for problem in _differences(runs[0], run)]:
        raise InputError(
            problems,
            "The mean of runs was asked for, which must share organs, preprocessing and windows. "
            "Leave out those that differ:",
        )
    unmirrored = [run for run in runs if mirror and not run.recipe.sampling.flips]
    if unmirrored:
        raise InputError(
            [
                f"{run.folder}: --mirror found, but it was trained without mirrored patches "
                "(sampling.flips = []), and mirrored organs may be others to it. Leave out "
                "--mirror."
                for run in unmirrored
            ]
        )
    window = runs[0].recipe.window
    return Members(runs, window.fast() if fast else window, mirror)


def _repeated(runs: Sequence[Run]) -> Iterator[str]:
    """What counts twice in a mean: a run under whatever path, and a copy of its weights."""
    for one, other in combinations(runs, 2):
        if one.folder.resolve() == other.folder.resolve():
            yield f"{other.folder}: is the run {one.folder} once more."
        elif _weights(one) == _weights(other):
            yield f"{other.folder}: has the same weights as {one.folder}, of which it is a copy."


def _differences(first: Run, other: Run) -> Iterator[str]:
    expected = _shared(first)
    for name, found in _shared(other).items():
        if found != expected[name]:
            yield (
                f"{other.folder}: {name} {shown(found)} found, {shown(expected[name])} as in "
                f"{first.folder} expected."
            )


def _weights(run: Run) -> str:
    return weights_hash(run.checkpoint) or str(run.folder.absolute())


def _shared(run: Run) -> dict[str, Any]:
    preprocessing, window = run.recipe.preprocessing.to_json(), asdict(run.recipe.window)
    return {
        "organs": run.labels.to_json(),
        "modality": run.modality,
        **{f"preprocessing.{name}": value for name, value in preprocessing.items()},
        **{f"window.{name}": value for name, value in window.items()},
    }
