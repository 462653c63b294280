"""What the networks of runs believe of the same voxels: reliability, Dice, feature space."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dvcl.commands.validation import case_dice, normalised
from dvcl.errors import InputError
from dvcl.evaluation.embedding import embed, tsne
from dvcl.evaluation.feature_space import class_distances, draw_equally, unit_length
from dvcl.evaluation.reliability import Reliability, count_reliable
from dvcl.evaluation.summary import spread
from dvcl.files import require_writable
from dvcl.inference.representing import represent_volume
from dvcl.inspection.findings import Inspection, Sight
from dvcl.inspection.page import write_inspection
from dvcl.inspection.runs import Role, default_folder, open_runs, shared_cases, truth
from dvcl.losses.entropy import select_reliable
from dvcl.store import StoredCase
from dvcl.studies.run import Run

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Options:
    """How runs are looked at.

    Attributes:
        role: Which cases.
        voxels: Drawn per class over all cases.
        alpha: Eq. 3, the same for all runs whatever they were trained with.
        seed: Of the draw and of t-SNE.
    """

    role: Role = "test"
    voxels: int = 200
    alpha: float = 0.5
    seed: int = 0


def inspect_runs(
    folders: Sequence[Path],
    options: Options,
    device: torch.device,
    *,
    names: Sequence[str] = (),
    out: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Look at runs side by side and write figures, numbers and a page.

    Args:
        folders: Of the runs.
        options: How to look.
        device: Where networks run.
        names: Of the runs, in the figures.
        out: Folder; by default ``STUDY/inspections/NAME`` of the first run.
        progress: Called with steps done, steps in all, what is being looked at.

    Returns:
        The page.

    Raises:
        InputError: When the runs cannot be compared, always before any work.
    """
    tsne()
    runs = open_runs(folders, names)
    cases = shared_cases(runs, options.role)
    folder = out or default_folder(next(iter(runs.values())))
    require_writable(folder)
    classes = next(iter(runs.values())).labels.classes
    labels = [truth(case) for case in cases]
    random = np.random.default_rng(options.seed)
    drawn = draw_equally(labels, classes, options.voxels, random)
    if len(np.unique(np.concatenate(drawn)[:, 0])) < 2:
        raise InputError(
            f"inspect: fewer than two classes occur in the {options.role} cases "
            f"{[case.id for case in cases]}; distances need two. Prepare more cases with labels."
        )
    steps = len(runs) * (len(cases) + 1)
    sights: dict[str, Sight] = {}
    for name, run in runs.items():
        done = len(sights) * (len(cases) + 1)

        def tell(step: int, what: str, done: int = done, name: str = name) -> None:
            if progress:
                progress(done + step, steps, f"{name}: {what}")

        sights[name] = _look(run, cases, labels, drawn, options, device, tell)
    if progress:
        progress(steps, steps, "all runs")
    found = Inspection(runs, cases, drawn, sights, options.role, options.alpha, options.seed)
    return write_inspection(folder, found)


def _look(
    run: Run,
    cases: Sequence[StoredCase],
    labels: Sequence[np.ndarray],
    drawn: Sequence[np.ndarray],
    options: Options,
    device: torch.device,
    tell: Callable[[int, str], None],
) -> Sight:
    """Everything about one run; only what is drawn is kept of the features."""
    method = run.trained_method(device)
    counts, dice, features, reliable = [], [], [], []
    for step, (case, label, rows) in enumerate(zip(cases, labels, drawn, strict=True)):
        tell(step, case.id)
        voxels = torch.from_numpy(rows[:, 1:])
        log_probabilities, seen = represent_volume(
            method.represent, normalised(case), run.recipe.window, voxels, device
        )
        # One threshold per case: its windows are to it what patches are to a batch of the training.
        selection = select_reliable(log_probabilities[None], options.alpha)
        pseudo, trusted = (
            maps[0].cpu().numpy() for maps in (selection.pseudo_labels, selection.reliable)
        )
        del log_probabilities, selection
        counts.append(count_reliable(pseudo, trusted, label, run.labels.classes))
        features.append(seen.numpy())
        reliable.append(trusted[tuple(rows[:, 1:].T)])
        with torch.inference_mode():
            dice.append(case_dice(method, case, run, device))
    tell(len(cases), "t-SNE")
    unit = unit_length(np.concatenate(features))
    places = embed(unit, options.seed)
    return Sight(
        reliability=functools.reduce(Reliability.add, counts),
        dice=np.array([spread(organ).mean for organ in np.transpose(dice)]),
        reliable=np.concatenate(reliable),
        places=places,
        distances=class_distances(unit, np.concatenate(drawn)[:, 0], run.labels.classes),
    )
