"""Train one method on prepared data, or continue where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from dvcl.commands.fit import check_fit
from dvcl.commands.validation import make_validation
from dvcl.errors import counted
from dvcl.files import sha256_of_json
from dvcl.locks import folder_lock
from dvcl.methods import Method
from dvcl.recipe import Recipe
from dvcl.report.figures import save_png
from dvcl.resources import available_ram, launch
from dvcl.sampling.streams import Sampler
from dvcl.splits import Split, check_cases, write_split
from dvcl.store import Store
from dvcl.studies.device import usable_device
from dvcl.studies.divide import run_name, tell_absent
from dvcl.studies.extension import extended, extension_note, record_extension
from dvcl.studies.leak_guard import guard_split
from dvcl.studies.pace import recorded_kernels
from dvcl.studies.project import Project
from dvcl.studies.run import NEW_NAME, Run, open_run
from dvcl.studies.seen import record_seen
from dvcl.studies.start import begin, with_start
from dvcl.training.checkpoint import saved_facts
from dvcl.training.distributed import joined
from dvcl.training.engine import train
from dvcl.training.journal import Row, read_journal
from dvcl.training.kernels import CANDIDATES, Kernel
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
    source: Path | None = None,
    device: str = "auto",
    observe: Callable[[Row], None] | None = None,
    tensorboard: bool = False,
    allow_overlap: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Run:
    """Train ``method``; the same call continues an interrupted run.

    A finished run goes on where the recipe differs from its own in more iterations alone. Under
    torchrun all its processes train one run; the first one writes and tells.

    Args:
        project: Prepared data.
        recipe: All settings.
        method: A key of `METHODS`.
        split: Which case is for what.
        seed: Of initialisation, sampling and dropout.
        name: Folder under ``runs``; by default that of `run_name`.
        source: Folder of a run whose weights this one begins with.
        device: "auto", or a torch device.
        observe: Called with every journal row.
        tensorboard: Also write events into ``tensorboard/`` of the run.
        allow_overlap: Train although the same scan occurs in two parts; the split's note says so.
        tell: Called with what looks like one scan, or one patient, in two parts, with organs that
            a part lacks, with the weights that were taken from another run, with what an extended
            run is not, and with the precision and the kernels that were measured to be faster.

    Raises:
        InputError: When settings and data do not fit; always before the first step.
    """
    store = project.store(recipe)
    run = extended(make_run(project, recipe, method, split, seed=seed, name=name, source=source))
    with joined(device) as (processes, own_device):
        speak = tell if processes.is_first else None
        run = _guarded(run, store, allow_overlap, speak)
        chosen = usable_device(own_device)
        trained = run.build_method()
        check_fit(run, trained, store)
        run = _begun(run, trained, store, allow_overlap, speak)
        _preload(run.split, trained, store)
        with ExitStack() as held:
            precision, kernels = processes.lead(
                partial(_take, run, chosen, processes.place.world_size, held, tell)
            )
            processes.lead(partial(record_seen, run, store))
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
                kernels=kernels,
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


def _begun(
    run: Run,
    method: Method,
    store: Store,
    allow_overlap: bool,
    tell: Callable[[str], None] | None,
) -> Run:
    """The run, once its method has the weights of the one that it begins with."""
    run, told = begin(run, method, store, allow_overlap)
    if note := extension_note(run):
        told.append(f"Extended, which is not the same as trained anew for so long: {note}.")
    if tell:
        for line in told:
            tell(line)
    return run


def _take(
    run: Run,
    device: torch.device,
    processes: int,
    held: ExitStack,
    tell: Callable[[str], None] | None,
) -> tuple[Precision, list[Kernel]]:
    """Keep others out of the run's folder while ``held`` is, and write what the run is.

    Returns:
        The precision in which it is trained, and the kernels.
    """
    held.enter_context(folder_lock(run.folder))
    record_extension(run)
    run.save(device, processes)
    write_split(run.folder / "split.json", run.split)
    precision, kernels = run.precision(), recorded_kernels(run.folder, NEW_NAME)
    if _is_trained(run.folder, run.recipe.training.iterations):
        tell = None
    if tell and run.recipe.training.precision == "auto":
        tell(f"Networks run in {PRECISIONS[precision]}, the faster one here.")
    for name, candidate in CANDIDATES.items():
        found = kernels["found"].get(name)
        if tell and found and (name in kernels["taken"] or candidate.asked_only):
            tell(f"{name}: {found}.")
    return precision, kernels["taken"]


def _draw_curves(run: Run) -> None:
    from dvcl.report.curves import training_curves

    rows = read_journal(run.folder / "journal.jsonl")
    save_png(training_curves(rows, f"{run.method}, seed {run.seed}"), run.folder / "curves.png")


def unfinished_before(project: Project, recipe: Recipe, method: str, seed: int) -> Iterator[str]:
    """One line per run of an earlier edition that the same command would have gone on with."""
    for edition in range(1, project.edition):
        folder = project.run_folder(run_name(recipe, edition), method, seed)
        if (folder / "run.json").exists() and (note := open_run(folder).unfinished()):
            yield f"Note: {note} It has seen edition {edition}: that takes --edition {edition}."


def finished_before(
    project: Project,
    recipe: Recipe,
    method: str,
    seed: int = 0,
    name: str | None = None,
    source: Path | None = None,
) -> str:
    """A sentence about the run that `train_run` finds finished; empty where it has to train."""
    name = name or run_name(recipe, project.edition, source is not None)
    folder = project.run_folder(name, method, seed)
    wanted = recipe.training.iterations
    if not _is_trained(folder, wanted):
        return ""
    # Nothing writes the state after the last step.
    when = datetime.fromtimestamp((folder / "last.safetensors").stat().st_mtime, UTC)
    return (
        f"Finished before, on {when:%Y-%m-%d at %H:%M} UTC, after {counted(wanted, 'step')}: "
        f"{folder}. Nothing was trained now. To train longer, add --set "
        f"training.iterations={2 * wanted} to the same command, which goes on from here, and "
        "another --name to begin anew."
    )


def _is_trained(folder: Path, iterations: int) -> bool:
    return saved_facts(folder / "last.safetensors").get("iteration", 0) >= iterations


def make_run(
    project: Project,
    recipe: Recipe,
    method: str,
    split: Split,
    *,
    seed: int = 0,
    name: str | None = None,
    source: Path | None = None,
) -> Run:
    """The run that `train_run` trains; nothing is written.

    Raises:
        InputError: When the data are not prepared for the recipe, the split does not fit them, or
            ``source`` is no run with weights.
    """
    check_cases(split, project.dataset)
    store = project.store(recipe)
    name = name or run_name(recipe, project.edition, source is not None)
    run = Run(
        folder=project.run_folder(name, method, seed),
        method=method,
        seed=seed,
        recipe=recipe,
        split=split,
        labels=project.dataset.labels,
        modality=project.dataset.modality,
        store=store.folder,
        data=_data_hash(store, split),
        label_maps=_label_hash(store, split),
        edition=project.edition,
        pseudo_labelled=_pseudo_labelled(project, split),
    )
    return with_start(run, source) if source else run


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


def make_sampler(run: Run, method: Method, store: Store) -> Sampler:
    """Batches of the run: labelled and unlabelled, or labelled alone for a supervised method."""
    settings = run.recipe.sampling
    if not method.needs_unlabelled:
        settings = replace(settings, unlabelled=0)
    labelled = [store.case(case) for case in run.split.labelled]
    unlabelled = [store.case(case) for case in run.split.unlabelled]
    map_classes = run.labels.classes if method.needs_distance_maps else None
    return Sampler(labelled, unlabelled, settings, run.seed, map_classes)


def _pseudo_labelled(project: Project, split: Split) -> tuple[str, ...]:
    predicted = {case.id for case in project.dataset.cases if case.pseudo_label}
    return tuple(case for case in split.labelled if case in predicted)


def _data_hash(store: Store, split: Split) -> str:
    hashes = {
        case: store.case(case).fingerprint.voxels_sha256
        for ids in split.parts().values()
        for case in ids
    }
    return sha256_of_json(hashes)


def _label_hash(store: Store, split: Split) -> str:
    ids = (*split.labelled, *split.validation)
    return sha256_of_json({case: store.case(case).label_facts() for case in ids})


def _preload(split: Split, method: Method, store: Store) -> None:
    unlabelled = split.unlabelled if method.needs_unlabelled else ()
    labelled = (*split.labelled, *split.validation)
    size = store.size_bytes((*labelled, *unlabelled))
    if size * launch().local_world_size < MEMORY_SHARE * available_ram():
        store.preload(labelled)
        store.preload(unlabelled, labels=False)
