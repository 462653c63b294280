"""Chapter of a model card on how a run was trained."""

from __future__ import annotations

from collections.abc import Sequence

from dvcl.commands.card_known import Known
from dvcl.errors import counted
from dvcl.files import sha256_of_bytes
from dvcl.methods import METHODS
from dvcl.report.tables import UNDEFINED, TextTable
from dvcl.report.written import Chapter

SOFTWARE = ("dvcl", "torch", "numpy", "scipy", "nibabel", "python")


def training_chapter(known: Known) -> Chapter:
    """Of method, settings, software and weights."""
    run, recipe, made = known.run, known.run.recipe, known.record.get("made_with", {})
    prepared = recipe.preprocessing
    facts = {
        "Method": f"{run.method}: {_first_line(METHODS[run.method])}",
        "Network": f"{recipe.network.name}, {recipe.network.levels} levels, "
        f"{recipe.network.base_channels} channels at the finest",
        "Recipe": recipe.name,
        "Seed": str(run.seed),
        "Steps": f"{run.steps_done() or UNDEFINED} of {recipe.training.iterations}",
        "Batch": f"{recipe.sampling.labelled} labelled and {recipe.sampling.unlabelled} unlabelled "
        f"patches of {_by(recipe.sampling.patch)} voxels",
        "Optimiser": f"SGD, rate {recipe.training.rate:g}, momentum {recipe.training.momentum:g}",
        "Precision": run.precision(),
        "Time": f"{counted(f'{known.minutes:.0f}', 'minute')} on {made.get('device', UNDEFINED)}",
        "Software": ", ".join(f"{name} {made[name]}" for name in SOFTWARE if name in made),
        "Orientation, spacing": f"{prepared.orientation}, {_by(prepared.spacing_mm)} mm (z, y, x)",
        "Intensities": f"clipped to {prepared.window} HU, then " * bool(prepared.window)
        + f"percentiles {prepared.percentiles} scaled to 0 and 1",
        "Windows": f"{_by(recipe.window.size)} voxels every {_by(recipe.window.stride)}",
        "Settings": f"hash {known.record['hash'][:16]}",
        "Weights": f"SHA-256 {sha256_of_bytes(run.checkpoint)}",
    }
    return Chapter("Training", (TextTable(("Setting", "Value"), tuple(facts.items()), names=2),))


def _first_line(method: type) -> str:
    return (method.__doc__ or "").partition("\n")[0]


def _by(lengths: Sequence[float]) -> str:
    return " x ".join(f"{length:g}" for length in lengths)
