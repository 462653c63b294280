"""A run that begins with the weights of another one, also of another study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dvcl.errors import InputError
from dvcl.files import sha256_of_bytes
from dvcl.leaks.fingerprint import ScanFingerprint
from dvcl.leaks.overlap import check_split, find_twins
from dvcl.methods import METHODS, Method
from dvcl.store import Store, open_store
from dvcl.studies.finding import find_run, names
from dvcl.studies.run import Run, open_run
from dvcl.studies.run_record import StartRecord, differences
from dvcl.training.checkpoint import load_weights, weights_hash
from dvcl.training.transfer import class_axes, take_weights

# The rest of [network] changes no shape.
SHAPING = ("name", "base_channels", "levels")


def with_start(run: Run, donor: Path) -> Run:
    """The run, beginning with the weights that predict in the run that ``donor`` names.

    A run that has saved its state no longer needs the donor, which may have changed or gone.

    Raises:
        InputError: When there is no run with weights, or it is the run itself.
    """
    if (run.folder / "run.json").exists() and not _is_to_begin(run):
        recorded = open_run(run.folder).start
        if recorded and names(donor, Path(recorded["run"])):
            return replace(run, start=recorded)
    found = find_run(donor)
    if found.folder.resolve() == run.folder.resolve():
        raise InputError(
            f"--from {donor}: is the run that is to be trained; another one was expected. Without "
            "--from the same command continues it."
        )
    weights = weights_hash(found.checkpoint) or sha256_of_bytes(found.checkpoint)
    return replace(
        run, start=StartRecord(run=str(found.folder.absolute()), weights=weights, taken="")
    )


def begin(
    run: Run, method: Method, store: Store, allow_overlap: bool = False
) -> tuple[Run, list[str]]:
    """Give a method that is to be trained from its first step the weights that it starts with.

    Args:
        run: With a start or without one.
        method: Freshly initialised; changed in place.
        store: Of the run.
        allow_overlap: Take weights that have learned from scans of the test or validation.

    Returns:
        The run, whose start says what was taken, and what is to be told.

    Raises:
        InputError: When the networks do not fit, or the weights have learned from scans that this
            run is tested on or validated with.
    """
    if run.start is None or not _is_to_begin(run):
        return run, []
    donor = open_run(Path(run.start["run"]))
    _check_networks(run, donor)
    told = [*_doubts(run, donor), *_seen_scans(run, donor, store, allow_overlap)]
    lender = donor.build_method()
    load_weights(donor.checkpoint, lender)
    axes = class_axes(method, run.build_method(run.labels.classes + 1))
    taken = take_weights(method, lender, axes, run.labels.names, donor.labels.names).in_words()
    told.append(f"Taken from {donor.folder}: {taken}.")
    return replace(run, start=StartRecord(**{**run.start, "taken": taken})), told


def _is_to_begin(run: Run) -> bool:
    return not (run.folder / "last.safetensors").exists()


def _check_networks(run: Run, donor: Run) -> None:
    ours, theirs = (
        {name: getattr(each.recipe.network, name) for name in SHAPING} for each in (run, donor)
    )
    if different := differences(theirs, ours, "network."):
        raise InputError(
            different,
            f"--from {donor.folder}: its networks are others, so their weights do not fit. Take "
            "its settings with --set, or another run:",
        )


def _doubts(run: Run, donor: Run) -> Iterator[str]:
    if unfinished := donor.unfinished():
        yield f"Note: {unfinished}"
    ours, theirs = (
        {"modality": each.modality, "preprocessing": each.recipe.preprocessing.to_json()}
        for each in (run, donor)
    )
    if different := differences(theirs, ours):
        yield f"Note: {donor.folder} has learned from scans prepared otherwise: " + "; ".join(
            different
        )


def _seen_scans(run: Run, donor: Run, store: Store, allow_overlap: bool) -> list[str]:
    """Make sure that the donor has not learned from what this run is tested on."""
    seen, told = _learned_from(donor)
    scored = {"test": run.split.test, "validation": run.split.validation}
    prints = {case: store.case(case).fingerprint for ids in scored.values() for case in ids}
    # Named by their run too: ids of two studies may be equal.
    learned = {f"{case} of {folder}": found for (folder, case), found in seen.items()}
    twins = find_twins(prints | learned)
    return told + check_split({"learned from": [*learned], **scored}, twins, allow_overlap)


def _learned_from(donor: Run) -> tuple[dict[tuple[Path, str], ScanFingerprint], list[str]]:
    """Scans that a run, and those that it began with, have learned from; what nobody can say."""
    seen, told = {}, []
    run: Run | None = donor
    while run is not None:
        unlabelled = run.split.unlabelled if METHODS[run.method].needs_unlabelled else ()
        try:
            store = open_store(run.store)
            for case in (*run.split.labelled, *unlabelled):
                seen[run.folder, case] = store.case(case).fingerprint
            run = open_run(Path(run.start["run"])) if run.start else None
        except InputError as error:
            told.append(
                f"Note: nobody can say whether {donor.folder} has learned from scans that this run "
                f"is tested on. {' '.join(error.problems)}"
            )
            break
    return seen, told
