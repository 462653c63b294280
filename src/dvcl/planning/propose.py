"""All choices of a plan, in the order of a recipe file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dvcl.planning.case_facts import ORIENTATION, Lengths
from dvcl.planning.choice import Choice, Choices, by, to_recipe
from dvcl.planning.cost import Cost
from dvcl.planning.effort import GPU, Effort
from dvcl.planning.fingerprint import Fingerprint
from dvcl.planning.intensity import choose_intensity_window, choose_percentiles, skips_air
from dvcl.planning.patch import Size, choose_organ_share, choose_patch, choose_window
from dvcl.planning.schedule import (
    choose_dropout,
    choose_loss,
    choose_schedule,
    method_choices,
    shared_choices,
    validation_windows,
)
from dvcl.planning.spacing import choose_spacing

# Words in organ names that a flip along an axis would make wrong.
SIDES = {
    "W": {"left", "right", "l", "r", "lt", "rt"},
    "H": {"anterior", "posterior", "ventral", "dorsal"},
}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


@dataclass(frozen=True)
class Geometry:
    """What the later choices build on.

    Attributes:
        spacing_mm: Prepared.
        patch: Voxels.
        levels: Of the network.
    """

    spacing_mm: Lengths
    patch: Size
    levels: int


def propose(fingerprint: Fingerprint, effort: Effort) -> Choices:
    """Everything but the schedule, which needs a measured step."""
    spacing = choose_spacing(fingerprint, effort)
    patch, levels = choose_patch(fingerprint, spacing.value, effort)
    window, stride = choose_window(
        fingerprint, patch.value, levels.value, spacing.value, effort.is_short
    )
    organ_share = choose_organ_share(fingerprint, patch.value, spacing.value)
    return {
        "preprocessing.orientation": Choice(
            ORIENTATION, "x to the left, y to the back, z to the feet, as in the paper."
        ),
        "preprocessing.spacing_mm": spacing,
        "preprocessing.window": choose_intensity_window(fingerprint),
        "preprocessing.percentiles": choose_percentiles(fingerprint),
        "sampling.patch": patch,
        "sampling.labelled": Choice(effort.patches, _why_patches(effort)),
        "sampling.unlabelled": Choice(effort.patches, "As many, as in the paper."),
        "sampling.flips": no_flips() if effort.is_short else choose_flips(fingerprint),
        "sampling.organ_share": organ_share,
        **(shared_choices("sampling") if effort.is_short else {}),
        "network.name": Choice("unet3d", "The paper's."),
        "network.base_channels": Choice(effort.channels, "As in the paper."),
        "network.levels": levels,
        "network.dropout": choose_dropout(effort.is_short),
        **(choose_loss(organ_share) if effort.is_short else {}),
        "window.size": window,
        "window.stride": stride,
        "window.skip_air": skips_air(fingerprint),
        "window.importance": Choice(
            "gaussian", "At its border a network knows least, as it does not see beyond it."
        ),
    }


def complete(
    choices: Choices, fingerprint: Fingerprint, cost: Cost, minutes: float, method: str
) -> Choices:
    """Add the schedule, and in a short run what the methods change, in the order of a recipe."""
    recipe = to_recipe(choices, "plan")
    windows = validation_windows(
        fingerprint,
        recipe.preprocessing.spacing_mm,
        recipe.window,
    )
    schedule = choose_schedule(cost, windows, minutes, method)
    if is_short(choices):
        schedule |= shared_choices("training")
    first = {key: value for key, value in choices.items() if not key.startswith("window.")}
    last = {key: value for key, value in choices.items() if key.startswith("window.")}
    return {**first, **schedule, **last, **method_settings_of(choices)}


def method_settings_of(choices: Choices) -> Choices:
    """The methods' settings for a short run; none for a long one, which keeps the papers'."""
    return method_choices(choices["sampling.patch"].value) if is_short(choices) else {}


def is_short(choices: Choices) -> bool:
    """Whether a plan is for minutes on a CPU."""
    return not choices["network.dropout"].value


def no_flips() -> Choice:
    """A flip's task is learned on top of the real one, which a short run has no time for."""
    return Choice((), "None: all scans lie the same way, and a short run has that to learn first.")


def choose_flips(fingerprint: Fingerprint) -> Choice:
    """Mirror an axis unless organs are named after its two directions."""
    words = {word.casefold() for name in fingerprint.organs for word in WORD.findall(name)}
    free = [axis for axis in ("H", "W") if not words & SIDES[axis]]
    named = sorted(words & (SIDES["H"] | SIDES["W"]))
    if not named:
        # Even where no name tells, the heart is on the left.
        return Choice(("H",), "Front to back; left to right would put the heart on the wrong side.")
    return Choice(
        tuple(free),
        f"Organs are called {' and '.join(named)}: a flip along that axis would make the names "
        "wrong.",
    )


def _why_patches(effort: Effort) -> str:
    if effort.is_short:
        return "Two: in the same minutes more steps taught more than more patches."
    if effort.patches == GPU.patches:
        return "As in the paper."
    return f"{effort.patches} instead of the paper's {GPU.patches}: the memory holds no more."


def describe_scale(fingerprint: Fingerprint) -> str:
    """The data set in one paragraph."""
    organs = fingerprint.typical_organs
    listed = ", ".join(
        f"{name} {organ.volume_ml:.3g} ml, {by(organ.chord_mm)} mm"
        for name, organ in organs.items()
    )
    counts = ", ".join(f"{count} {role}" for role, count in fingerprint.counts.items())
    unseen = [name for name in fingerprint.organs if name not in organs]
    never = f" Never seen: {', '.join(unseen)}." if unseen else ""
    return (
        f"{fingerprint.name}, {fingerprint.modality}: {counts}. Scans of "
        f"{by(fingerprint.field_mm)} mm, bodies of {by(fingerprint.body_mm)} mm, in voxels of "
        f"{by(fingerprint.spacing_mm)} mm (z, y, x, medians). Organs, with the "
        f"mean length of straight cuts along z, y and x: {listed}.{never}"
    )
