"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import nn
from torch.optim import Optimizer

from dvcl.errors import InputError
from dvcl.losses.ramps import delayed
from dvcl.methods import Method
from dvcl.records import Count, check, explained
from dvcl.resources import peak_ram
from dvcl.sampling.ahead import Drawn, batches_ahead, drawn
from dvcl.sampling.batch import Batch
from dvcl.sampling.streams import Sampler
from dvcl.training.averaging import WeightAverage
from dvcl.training.checkpoint import DAMAGED, load_state, save_state, save_weights
from dvcl.training.distributed import ALONE, Processes
from dvcl.training.interruption import Interrupted, Interruption
from dvcl.training.journal import Journal, Row
from dvcl.training.kernels import Kernel, running_with
from dvcl.training.optimisation import (
    Training,
    build_optimisers,
    decayed_rate,
    gradient_norms,
    learns_unlabelled,
)


class State(TypedDict):
    """The facts of ``last.safetensors``."""

    iteration: Count
    best: float
    sampler: dict[str, Any]


Validate = Callable[[Method], dict[str, Any]]


def choose_device(name: str = "auto") -> torch.device:
    """CUDA, else Apple's MPS, else the CPU; or the one that is named."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def train(
    method: Method,
    sampler: Sampler,
    settings: Training,
    folder: Path,
    *,
    device: torch.device,
    seed: int,
    validate: Validate | None = None,
    observe: Callable[[Row], None] | None = None,
    processes: Processes = ALONE,
    kernels: Sequence[Kernel] = (),
) -> None:
    """Train, or continue exactly where ``folder`` stopped.

    Writes ``last.safetensors`` (everything a continuation needs), ``best.safetensors`` (weights of
    the best validation, or the last ones without validation) and ``journal.jsonl``.

    Args:
        method: Freshly initialised; moved to ``device``.
        sampler: Draws the batches.
        settings: The schedule.
        folder: The run's folder.
        device: Where to train.
        seed: Of dropout and of what the method draws.
        validate: Returns {"mean_dice": in [0, 1], ...} of the method.
        observe: Called with every journal row.
        processes: Those that train this run together, all with the same arguments; the first one
            validates and writes.
        kernels: With which networks run, `dvcl.training.kernels`.

    Raises:
        Interrupted: After one of `SIGNALS`, once the state is saved.
        InputError: When a loss is NaN or infinite; names the cases of the batch.
    """
    optimisers = _set_up(method, settings, device, seed)
    average = WeightAverage(method, settings.average)
    last = folder / "last.safetensors"
    done, best = _continued(last, method, optimisers, average, sampler)
    journal = Journal(folder / "journal.jsonl" if processes.is_first else None, done, observe)
    asked = (_asked(method, settings, iteration) for iteration in range(done, settings.iterations))
    batches = drawn(sampler, asked, ahead=batches_ahead(device), pinned=device.type == "cuda")
    with (
        closing(journal),
        closing(batches),
        running_with(kernels, device, method),
        Interruption() as interruption,
    ):
        while done < settings.iterations:
            iteration, done = done, done + 1
            is_milestone = done % settings.validate_every == 0 or done == settings.iterations
            told, sampled = _draw_and_step(
                method, optimisers, batches, settings, iteration, is_milestone, processes
            )
            average.follow(done)
            journal.write("step", done, **told)
            if is_milestone:
                with average.in_place():
                    best = processes.lead(
                        partial(_milestone, method, journal, done, best, folder, validate)
                    )
            signal = processes.agree(interruption.signal, method.random)
            if is_milestone or signal:
                state = {"iteration": done, "best": best, "sampler": sampled}
                processes.lead(
                    partial(save_state, last, method, optimisers, average.means, **state)
                )
            if signal:
                raise Interrupted(signal, done)


def _set_up(
    method: Method, settings: Training, device: torch.device, seed: int
) -> dict[str, Optimizer]:
    method.to(device)
    method.precision = settings.autocast
    method.random = torch.Generator(device).manual_seed(seed)
    torch.manual_seed(seed)
    return build_optimisers(method, settings)


def _continued(
    last: Path,
    method: Method,
    optimisers: dict[str, Optimizer],
    average: WeightAverage,
    sampler: Sampler,
) -> tuple[int, float]:
    """Everything as ``last`` left it; returns the steps done and the best Dice so far."""
    if not last.exists():
        return 0, -1.0
    facts = load_state(last, method, optimisers, average.means)
    with explained(last, DAMAGED):
        check(facts, State)
        sampler.load_state_dict(facts["sampler"])
        return facts["iteration"], facts["best"]


def _asked(method: Method, settings: Training, iteration: int) -> tuple[float, bool]:
    """What the batch of one iteration (from 0) is drawn by: progress, and whether with others."""
    unlabelled = not method.needs_unlabelled or learns_unlabelled(settings, iteration)
    return iteration / settings.iterations, unlabelled


def _draw_and_step(
    method: Method,
    optimisers: dict[str, Optimizer],
    batches: Iterator[Drawn],
    settings: Training,
    iteration: int,
    measure: bool,
    processes: Processes,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """One iteration (from 0); returns what the journal tells of it, and the sampler's state."""
    device = method.random.device
    began, worked = time.perf_counter(), time.process_time()
    progress, unlabelled = _asked(method, settings, iteration)
    batch, sampled = next(batches)
    batch = batch.to(device)
    waited = time.perf_counter() - began
    if method.needs_unlabelled:
        progress = delayed(progress, settings.unlabelled_from)
    rate = decayed_rate(settings, iteration)
    terms, norms = step(
        method, optimisers, batch, progress, rate, measure, processes, settings.clip, unlabelled
    )
    seconds = time.perf_counter() - began
    facts: dict[str, Any] = {"peak_mib": peak_memory_mib(device), **norms} if measure else {}
    if device.type == "cpu":
        facts["processor"] = time.process_time() - worked
    if unlabelled and method.worked_on:
        facts["worked_on"] = method.worked_on
    told = {"terms": terms, "rate": rate, "seconds": seconds, "waited": waited, **facts}
    return told, sampled


def step(
    method: Method,
    optimisers: dict[str, Optimizer],
    batch: Batch,
    progress: float,
    rate: float,
    measure: bool = False,
    processes: Processes = ALONE,
    clip: float = 0.0,
    unlabelled: bool = True,
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """One step of every optimiser; returns the terms and, if asked, their gradients' norms."""
    method.train()
    updates = method.updates(batch, progress) if unlabelled else method.supervised_updates(batch)
    values: dict[str, float] = {}
    norms: dict[str, float] = {}
    with processes.share_batches():
        for group, terms in updates:
            optimiser, parameters = optimisers[group], method.parameter_groups()[group]
            losses = torch.stack(list(terms.values()))
            total = losses.sum()
            # The host waits for the device here, and nowhere else in this function.
            found: list[float] = losses.tolist()
            values |= dict(zip(terms, found, strict=True))
            if not all(map(math.isfinite, found)):
                raise InputError(
                    f"the loss is not finite ({_listed(values)}) on a batch of the cases "
                    f"{', '.join(batch.case_ids)}. The last checkpoint is unharmed. Look at these "
                    "cases, lower training.rate, or set training.precision to float32."
                )
            if measure:
                norms |= gradient_norms(terms, parameters, processes.average)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            processes.average([w.grad for w in parameters if w.grad is not None])
            if group not in method.adam_rates:
                for settings in optimiser.param_groups:
                    settings["lr"] = rate
                if clip:
                    nn.utils.clip_grad_norm_(parameters, clip)
            optimiser.step()
    method.after_step()
    return values, {"gradient_norms": norms} if measure else {}


def peak_memory_mib(device: torch.device) -> float | None:
    """Most memory of the device that training has held so far; None where nothing tells."""
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_ram()
    return None if peak is None else peak / 2**20


def _milestone(
    method: Method,
    journal: Journal,
    done: int,
    best: float,
    folder: Path,
    validate: Validate | None,
) -> float:
    """Validate and keep the best weights, or the latest where nothing can be validated."""
    if validate is None:
        save_weights(folder / "best.safetensors", method, iteration=done)
        return best
    began = time.perf_counter()
    method.eval()
    with torch.inference_mode():
        found = validate(method)
    journal.write("validation", done, seconds=time.perf_counter() - began, **found)
    path, dice = folder / "best.safetensors", float(found["mean_dice"])
    if dice > best or not path.exists():
        save_weights(path, method, iteration=done)
    return max(best, dice) if dice == dice else best


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())
