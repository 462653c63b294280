"""A finished run that is to take more steps: another schedule from where it stands."""

from __future__ import annotations

from dataclasses import replace

from dvcl.errors import InputError
from dvcl.files import read_json, sha256_of_json, write_json
from dvcl.studies.run import NEW_NAME, Run, open_run


def extended(run: Run) -> Run:
    """The run, as the extension of the one in its folder where it is that with more iterations.

    All other runs are returned as they are, and are refused later if their folder holds another.

    Raises:
        InputError: When the run in the folder has finished, but its state is no longer there.
    """
    if not (run.folder / "run.json").exists():
        return run
    old = open_run(run.folder)
    before, wanted = (each.recipe.training.iterations for each in (old, run))
    ends = old.extended_at if before >= wanted else (*old.extended_at, before)
    longer = replace(
        old,
        recipe=replace(old.recipe, training=replace(old.recipe.training, iterations=wanted)),
        extended_at=(),
    )
    if not ends or longer.settings != run.settings or (before < wanted and old.unfinished()):
        return run
    if before < wanted and old.steps_done() is None:
        raise InputError(
            f"{run.folder}: is trained for {before} steps and cannot go on to {wanted}, since "
            "last.safetensors is missing; the state of the run was expected there. Restore it "
            "from a copy, or train again under another --name."
        )
    return replace(run, extended_at=ends)


def record_extension(run: Run) -> None:
    """Write into run.json what `extended` found, where that is new."""
    path = run.folder / "run.json"
    if run.extended_at and open_run(run.folder).extended_at != run.extended_at:
        settings = {"settings": run.settings, "hash": sha256_of_json(run.settings)}
        write_json(path, {**read_json(path, NEW_NAME), **settings})


def extension_note(run: Run) -> str:
    """What is to be said of the results of a run that was extended; empty for all others."""
    if not run.extended_at:
        return ""
    ends = ", ".join(map(str, run.extended_at))
    return (
        f"its steps up to {ends} followed a schedule of so many (rate and ramps ran to their end), "
        f"those after it follow the schedule of {run.recipe.training.iterations}"
    )
