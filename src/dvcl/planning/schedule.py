"""How long to train and how often to validate, from what a step costs."""

from __future__ import annotations

import math

from dvcl.errors import counted
from dvcl.inference.sliding_window import Window, window_starts
from dvcl.planning.case_facts import Lengths
from dvcl.planning.choice import Choice, Choices
from dvcl.planning.cost import Cost
from dvcl.planning.fingerprint import Fingerprint
from dvcl.planning.patch import voxels_along
from dvcl.recipe import load_recipe

DEFAULT_MINUTES = {True: 20.0, False: 600.0}  # of a short plan (CPU) and a long one (GPU)
MOST_ITERATIONS = 20_000  # the paper's
FEWEST_ITERATIONS = 500  # in fewer steps not every organ is found
SHORT_RUN = 5_000
WARMUP_SHARE, LONGEST_WARMUP = 10, 100

# Settings of the recipe small-ct for any short run, and why (docs/experiments.md).
SHARED = {
    "sampling": {
        "contrast": "Changed intensities: few labelled scans show few of them.",
        "shift": "Of all intensities, likewise.",
        "noise": "Likewise.",
        "rotation_degrees": "Turned patches: few labelled scans show few postures.",
        "scaling": "Larger and smaller ones, likewise.",
    },
    "loss": {
        "dice_over": "A small patch lacks most organs, which would drown those that it has.",
        "background": "It is most of a patch and soon learned.",
        "class_weights": "Small organs have few voxels to learn from.",
    },
    "training": {
        "rate": "Higher than the paper's, which short runs need, and gradients are clipped.",
        "nesterov": "Steadier at a high rate.",
        "clip": "Lets the first steps be full ones.",
        "unlabelled_from": "Pseudo-labels teach once networks have learned from labels; before "
        "that they cost time.",
    },
}

# Of the time that is not spent on steps.
VALIDATION_SHARE = 0.1
FEWEST_VALIDATIONS, MOST_VALIDATIONS = 4, 20
ASSUMED_VALIDATION_SHARE = 0.2  # of the labelled cases, where none are given for validation


def validation_windows(fingerprint: Fingerprint, spacing_mm: Lengths, window: Window) -> int:
    """Windows that one validation predicts: of whole scans, or of bodies if air is left out."""
    extent_mm = fingerprint.body_mm if window.skip_air else fingerprint.field_mm
    scan = voxels_along(extent_mm, spacing_mm)
    each = math.prod(
        len(window_starts(n, size, stride))
        for n, size, stride in zip(scan, window.size, window.stride, strict=True)
    )
    counts = fingerprint.counts
    labelled = counts.get("labelled", 0) + counts.get("undivided", 0)
    cases = counts.get("validation", 0) or round(ASSUMED_VALIDATION_SHARE * labelled)
    return each * cases


def choose_schedule(cost: Cost, windows: int, minutes: float, method: str) -> Choices:
    """Iterations for the minutes, validations for a tenth of them, and what depends on both.

    Args:
        cost: Of a step of ``method``.
        windows: Of one validation.
        minutes: For the whole training.
        method: Named in the reasons.
    """
    seconds = 60 * minutes
    validation_s = windows * cost.window_s
    affordable = int(VALIDATION_SHARE * seconds / validation_s) if windows else MOST_VALIDATIONS
    validations = min(MOST_VALIDATIONS, max(FEWEST_VALIDATIONS, affordable))
    left = max(seconds - validations * validation_s, seconds / 2)
    iterations = min(MOST_ITERATIONS, _rounded(left / cost.step_s))
    every = max(1, math.ceil(iterations / validations))
    is_short = iterations < SHORT_RUN
    return {
        "training.iterations": Choice(iterations, _why_so_many(cost, iterations, minutes, method)),
        "training.rate": Choice(0.1, "As in the paper."),
        "training.warmup": Choice(
            min(LONGEST_WARMUP, iterations // WARMUP_SHARE) if is_short else 0,
            "Full steps from the first one drive a network into predicting background alone, "
            "which costs a short run hundreds of steps."
            if is_short
            else "None, as in the paper: a long run does not need it.",
        ),
        "training.validate_every": Choice(
            every,
            f"{math.ceil(iterations / every)} validations of about {windows} windows, "
            f"{validation_s:.2g} s each, or {validations * validation_s / seconds:.0%} of the time."
            if windows
            else "A checkpoint at each; there are no cases to validate on.",
        ),
        "training.precision": Choice(
            cost.precision,
            "The faster one here, measured.",
        ),
    }


def choose_dropout(is_short: bool) -> Choice:
    """None in a short run, which is short of learning."""
    if is_short:
        return Choice(0.0, "None: a short run is short of learning, not of restraint.")
    return Choice(0.3, "As in the paper.")


def shared_choices(section: str) -> Choices:
    """What all methods share in a short run: settings of one section of the recipe small-ct."""
    values = load_recipe("small-ct").to_json()[section]
    return {
        f"{section}.{name}": Choice(values[name], reason)
        for name, reason in SHARED[section].items()
    }


def choose_loss(organ_share: Choice) -> Choices:
    """The loss of a short run; without class weights where patches need not be put on organs."""
    choices = shared_choices("loss")
    if not organ_share.value:
        choices["loss.class_weights"] = Choice(
            "none", "Organs fill much of a patch: weights would only make them too large."
        )
    return choices


def method_choices(patch: tuple[int, int, int]) -> Choices:
    """What the methods change in a short run: the settings of the recipe small-ct."""
    choices: Choices = {}
    for method, settings in load_recipe("small-ct").methods.items():
        for index, (name, value) in enumerate(settings.items()):
            reason = "As in the recipe small-ct: a short run has few steps and small patches."
            choices[f"methods.{method}.{name}"] = Choice(value, "" if index else reason)
    cube = tuple(side // 2 for side in patch)
    choices["methods.magicnet.cube"] = Choice(cube, "Half of the patch: eight cubes fill it.")
    return choices


def _rounded(count: float) -> int:
    """Two digits, downwards: nobody needs 1187 steps."""
    count = max(count, 1.0)
    unit = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return int(count // unit * unit)


def _why_so_many(cost: Cost, iterations: int, minutes: float, method: str) -> str:
    held = f"{counted(f'{minutes:.3g}', 'minute')} {'holds' if minutes == 1 else 'hold'}"
    reason = f"A step of {method} took {cost.step_s:.2g} s here: {held} so many"
    if iterations == MOST_ITERATIONS:
        used = iterations * cost.step_s / 60
        return f"As in the paper: {used:.3g} of {minutes:.3g} minutes, {cost.step_s:.2g} s a step."
    if iterations < FEWEST_ITERATIONS:
        enough = math.ceil(2 * FEWEST_ITERATIONS * cost.step_s / 60 / (1 - VALIDATION_SHARE))
        return f"{reason}, which is few: give --minutes {enough} for {2 * FEWEST_ITERATIONS}."
    return f"{reason}, with the validations."
