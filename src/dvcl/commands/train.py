"""Train one method on prepared data, or continue where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from dvcl.errors import InputError
from dvcl.evaluation.overlap import confusion_matrix, dice
from dvcl.files import folder_lock, sha256_of_json
from dvcl.inference.sliding_window import predict_volume
from dvcl.methods import METHODS, Method
from dvcl.recipe import Recipe
from dvcl.report.curves import training_curves
from dvcl.report.figures import save_png
from dvcl.resources import available_ram, launch
from dvcl.sampling.streams import Sampler
from dvcl.splits import Split, check_cases, write_split
from dvcl.store import Store, StoredCase
from dvcl.studies.divide import run_name, tell_absent
from dvcl.studies.leak_guard import guard_split
from dvcl.studies.project import Project
from dvcl.studies.run import Run, usable_device
from dvcl.training.distributed import joined
from dvcl.training.engine import train
from dvcl.training.journal import Row, read_journal
from dvcl.training.precision import Precision
from dvcl.training.tensorboard import TensorBoard

PRECISIONS = {"bf16": "bfloat16", "float32": "float32"}

# Prepared cases are held in RAM when they take less than this share of what is free.
MEMORY_SHARE = 0.5


def train_run(
    project: Project,
    recipe: Recipe,
    method: str,
    split: Split,
    *,
    seed: int = 0,
    name: str | None = None,
    device: str = "auto",
    observe: Callable[[Row], None] | None = None,
    tensorboard: bool = False,
    allow_overlap: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Run:
    """Train ``method``; the same call continues an interrupted run.

    Under torchrun all its processes train one run; the first one writes and tells.

    Args:
        project: Prepared data.
        recipe: All settings.
        method: A key of `METHODS`.
        split: Which case is for what.
        seed: Of initialisation, sampling and dropout.
        name: Folder under ``runs``; by default the recipe's name, and the fold if there are any.
        device: "auto", or a torch device.
        observe: Called with every journal row.
        tensorboard: Also write events into ``tensorboard/`` of the run.
        allow_overlap: Train although the same scan occurs in two parts; the split's note says so.
        tell: Called with what looks like one scan, or one patient, in two parts, with organs that
            a part lacks, and with the precision that was measured to be faster.

    Raises:
        InputError: When settings and data do not fit; always before the first step.
    """
    store = project.store(recipe)
    run = make_run(project, recipe, method, split, seed=seed, name=name)
    with joined(device) as (processes, own_device):
        run = _guarded(run, store, allow_overlap, tell if processes.is_first else None)
        chosen = usable_device(own_device)
        trained = run.build_method()
        check_fit(run, trained, store)
        _preload(run.split, trained, store)
        with ExitStack() as held:
            precision = processes.lead(
                partial(_take, run, chosen, processes.place.world_size, held)
            )
            if tell and processes.is_first and recipe.training.precision == "auto":
                tell(f"Networks run in {PRECISIONS[precision]}, the faster one here.")
            train(
                trained,
                make_sampler(run, trained, store),
                replace(recipe.training, precision=precision),
                run.folder,
                device=chosen,
                seed=seed,
                validate=make_validation(run, store, chosen),
                observe=_observers(run, observe, tensorboard) if processes.is_first else None,
                processes=processes,
            )
            processes.lead(partial(_draw_curves, run))
    return run


def _guarded(
    run: Run, store: Store, allow_overlap: bool, tell: Callable[[str], None] | None
) -> Run:
    """The run with what its split's note has to say, once no scan is in two parts."""
    split, warnings = guard_split(run.split, store, allow_overlap)
    if tell:
        for warning in (*warnings, *tell_absent(run.split, store)):
            tell(warning)
    return replace(run, split=split)


def _take(run: Run, device: torch.device, processes: int, held: ExitStack) -> Precision:
    """Keep others out of the run's folder while ``held`` is, and write what the run is.

    Returns:
        The precision in which it is trained.
    """
    held.enter_context(folder_lock(run.folder))
    run.save(device, processes)
    write_split(run.folder / "split.json", run.split)
    return run.precision()


def _draw_curves(run: Run) -> None:
    rows = read_journal(run.folder / "journal.jsonl")
    save_png(training_curves(rows, f"{run.method}, seed {run.seed}"), run.folder / "curves.png")


def make_run(
    project: Project,
    recipe: Recipe,
    method: str,
    split: Split,
    *,
    seed: int = 0,
    name: str | None = None,
) -> Run:
    """The run that `train_run` trains; nothing is written.

    Raises:
        InputError: When the data are not prepared for the recipe, or the split does not fit them.
    """
    check_cases(split, project.dataset)
    store = project.store(recipe)
    return Run(
        folder=project.run_folder(name or run_name(recipe), method, seed),
        method=method,
        seed=seed,
        recipe=recipe,
        split=split,
        labels=project.dataset.labels,
        modality=project.dataset.modality,
        store=store.folder,
        data=_data_hash(store, split),
    )


def _observers(
    run: Run, observe: Callable[[Row], None] | None, tensorboard: bool
) -> Callable[[Row], None] | None:
    if not tensorboard:
        return observe
    rows = read_journal(run.folder / "journal.jsonl")
    events = TensorBoard(run.folder / "tensorboard", rows[-1]["iteration"] if rows else 0)

    def both(row: Row) -> None:
        events(row)
        if observe:
            observe(row)

    return both


def check_fit(run: Run, method: Method, store: Store) -> None:
    """Refuse what would only fail, or mean nothing, an hour later.

    Raises:
        InputError: With all problems.
    """
    recipe, split, problems = run.recipe, run.split, []
    if method.needs_unlabelled and not split.unlabelled:
        problems.append(
            f"method {run.method}: no unlabelled case found, at least one expected. Prepare with "
            "--unlabelled DIR, keep fewer labelled with --labelled-cases, or train supervised."
        )
    if method.needs_unlabelled and recipe.sampling.unlabelled < 1:
        problems.append(f"sampling.unlabelled: 0 found; {run.method} expects at least 1.")
    problems += partial_label_problems(run, method, store)
    network = recipe.network.build(run.labels.classes, "kaiming", torch.Generator())
    patch, window = recipe.sampling.patch, recipe.window.size
    first = recipe.sampling.patch_at(0.0)
    pairs = (
        (network, patch),
        (network, window),
        (method, patch),
        (network, first),
        (method, first),
    )
    for checked, size in pairs[: None if first != patch else 3]:
        try:
            checked.check_patch(size)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def partial_label_problems(run: Run, method: Method, store: Store) -> list[str]:
    """Partly labelled cases with a method that would learn wrong from them; organs never shown."""
    shown = {case: store.case(case).annotated for case in run.split.labelled}
    partial = {case: classes for case, classes in shown.items() if classes is not None}
    if not partial:
        return []
    problems = []
    if not method.takes_partial_labels:
        able = ", ".join(name for name, kind in METHODS.items() if kind.takes_partial_labels)
        problems.append(
            f"method {run.method}: {len(partial)} of {len(shown)} labelled cases lack organs, the "
            f"first {next(iter(partial))}; it would learn that these are background. Complete "
            f"their masks, prepare without these cases, or train one of {able}."
        )
    if len(partial) == len(shown):
        never = ~np.any(list(partial.values()), axis=0)
        problems += [
            f"no labelled case has a mask of {run.labels.names[index]}, so it cannot be learned; "
            "at least one was expected. Add one, or leave the organ out of the labels file."
            for index in np.flatnonzero(never)
        ]
    return problems


def make_sampler(run: Run, method: Method, store: Store) -> Sampler:
    """Batches of the run: labelled and unlabelled, or labelled alone for a supervised method."""
    settings = run.recipe.sampling
    if not method.needs_unlabelled:
        settings = replace(settings, unlabelled=0)
    labelled = [store.case(case) for case in run.split.labelled]
    unlabelled = [store.case(case) for case in run.split.unlabelled]
    map_classes = run.labels.classes if method.needs_distance_maps else None
    return Sampler(labelled, unlabelled, settings, run.seed, map_classes)


def make_validation(
    run: Run, store: Store, device: torch.device
) -> Callable[[Method], dict[str, Any]] | None:
    """Dice on the validation cases, and the method's own diagnostics; None without such cases."""
    cases = [store.case(case) for case in run.split.validation]
    if not cases:
        return None
    complete = [case for case in cases if case.annotated is None]
    settings = replace(run.recipe.sampling, unlabelled=0, organ_share=1.0, flips=())

    def validate(method: Method) -> dict[str, Any]:
        scores = [case_dice(method, case, run, device) for case in cases]
        organs = _nan_mean(scores)
        diagnostics: dict[str, float] = {}
        if complete:
            # The same patches every time, so that the diagnostics can be compared along the run.
            batch = Sampler(complete, [], settings, seed=0).draw().to(device)
            diagnostics = method.diagnose(batch)
        return {
            "dice": dict(zip(run.labels.organs, organs, strict=True)),
            "mean_dice": float(np.nanmean(organs)) if not np.isnan(organs).all() else float("nan"),
            "diagnostics": diagnostics,
        }

    return validate


def case_dice(method: Method, case: StoredCase, run: Run, device: torch.device) -> np.ndarray:
    """Dice of every organ (K - 1,) on the prepared grid; NaN where the case does not show it."""
    image = normalised(case)
    predicted = predict_volume(method.predict, image, run.recipe.window, device).argmax(0)
    classes = predicted.to(torch.uint8).cpu().numpy()
    assert case.label is not None
    scores = dice(confusion_matrix(case.label, classes, run.labels.classes))
    if case.annotated is not None:
        scores[~case.annotated] = np.nan
    return scores[1:]


def normalised(case: StoredCase) -> torch.Tensor:
    """The prepared image as float32."""
    return torch.from_numpy(case.image.astype(np.float32)).mul_(case.scale).add_(case.offset)


def _nan_mean(scores: Sequence[np.ndarray]) -> list[float]:
    table = np.array(scores)
    counts = (~np.isnan(table)).sum(0)
    sums = np.nansum(table, axis=0)
    return [float(s / n) if n else float("nan") for s, n in zip(sums, counts, strict=True)]


def _data_hash(store: Store, split: Split) -> str:
    hashes = {
        case: store.case(case).fingerprint.voxels_sha256
        for ids in split.parts().values()
        for case in ids
    }
    return sha256_of_json(hashes)


def _preload(split: Split, method: Method, store: Store) -> None:
    drawn = (*split.labelled, *(split.unlabelled if method.needs_unlabelled else ()))
    ids = (*drawn, *split.validation)
    if store.size_bytes(ids) * launch().local_world_size < MEMORY_SHARE * available_ram():
        store.preload(ids)
