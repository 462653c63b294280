"""Refuses a run that would only fail, or mean nothing, an hour later."""

from __future__ import annotations

import math

import numpy as np
import torch

from dvcl.commands.run_doubts import window_doubts
from dvcl.comparison.equal_time import MOST_WARMUP
from dvcl.errors import InputError, counted
from dvcl.methods import METHODS, Method
from dvcl.recipe import Recipe
from dvcl.resources import in_words, installed_ram
from dvcl.store import Store
from dvcl.studies.run import Run
from dvcl.training.optimisation import Training

# Of an image and its label; logits come to it.
LEAST_VOXEL_BYTES = 12


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
    problems += _partial_label_problems(run, method, store)
    problems += _memory_problems(run)
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


def doubts_of_fit(recipe: Recipe) -> list[str]:
    """What is doubtful about a recipe, and may make a run worse in silence; one line each."""
    return [*window_doubts(recipe), *_warmup_doubts(recipe.training)]


def _warmup_doubts(training: Training) -> list[str]:
    steps, warmup = training.iterations, training.warmup
    better = math.ceil(MOST_WARMUP * steps)
    if warmup < steps or warmup == better:
        return []
    return [
        f"training.warmup: {warmup} found, of a training of {counted(steps, 'step')}, which never "
        f"reaches its rate and learns less. Better: --set training.warmup={better}"
    ]


def _memory_problems(run: Run) -> list[str]:
    """Batches and windows of which even images, labels and logits are more than the memory."""
    sampling, ram = run.recipe.sampling, installed_ram()
    patches = sampling.labelled + sampling.unlabelled
    sizes = {
        f"a batch of {patches} patches of {sampling.patch} voxels (section [sampling])": (
            patches * math.prod(sampling.patch)
        ),
        f"a window of {run.recipe.window.size} voxels (section [window])": (
            math.prod(run.recipe.window.size)
        ),
    }
    voxel_bytes = LEAST_VOXEL_BYTES + 4 * run.labels.classes
    return [
        f"{what} takes {in_words(voxels * voxel_bytes)} at least; at most the {in_words(ram)} of "
        "this machine's memory were expected. Lower it."
        for what, voxels in sizes.items()
        if voxels * voxel_bytes > ram
    ]


def _partial_label_problems(run: Run, method: Method, store: Store) -> list[str]:
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
