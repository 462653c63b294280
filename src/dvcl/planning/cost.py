"""What one training step of a recipe costs on this machine, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import get_args

import torch

from dvcl.inference.sliding_window import windows_at_once
from dvcl.methods import METHODS, Method
from dvcl.planning.machine import is_busy
from dvcl.recipe import Recipe
from dvcl.resources import peak_ram
from dvcl.sampling.batch import Batch
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.training.engine import step
from dvcl.training.kernels import USUAL, Kernels, faster_kernels, running_with
from dvcl.training.optimisation import build_optimisers
from dvcl.training.precision import Precision

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

TIMED_CALLS = 3
SLOWEST_S = 10.0  # a call slower than this is made once
WINDOWS = 4  # single small ones run with a slow convolution, see `windows_at_once`
PARALLEL_SHARE = 0.9  # of the time of a step all threads are at work


@dataclass(frozen=True)
class Cost:
    """Of one recipe and method on one device.

    Attributes:
        step_s: One training step, with the sampling of its batch left out (a hundredth of it).
        window_s: Prediction of one window, several at once as in prediction.
        peak_bytes: Most memory: of the GPU, or of the whole process on a CPU.
        precision: The faster one, "float32" or "bf16".
        kernels: Of a run, with which the step was measured.
    """

    step_s: float
    window_s: float
    peak_bytes: int
    precision: Precision
    kernels: Kernels = USUAL


def measure(recipe: Recipe, method: str, classes: int, device: str) -> Cost | None:
    """Train a few steps on noise in a fresh process; None when the memory did not suffice.

    A process of its own, so that the peak is that of the training alone, and lack of memory ends
    nothing but the attempt.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(measure_here, recipe, method, classes, device).result()
        except (BrokenProcessPool, MemoryError):
            return None


def measure_here(recipe: Recipe, method: str, classes: int, device: str) -> Cost | None:
    """As `measure`, in this process."""
    place = torch.device(device)
    try:
        steps = {
            precision: _step_seconds(recipe, method, classes, place, precision)
            for precision in PRECISIONS
        }
        fastest = min(steps, key=lambda precision: steps[precision])
        step_s, kernels = steps[fastest], _kernels(recipe, classes, place, fastest)
        if kernels.taken:
            step_s = _step_seconds(recipe, method, classes, place, fastest, kernels)
        window_s = _window_seconds(recipe, _build(recipe, method, classes, place, fastest), place)
    except RuntimeError as error:
        # CUDA's OutOfMemoryError is one; the CPU's allocator has no class of its own.
        if "memory" not in str(error):
            raise
        return None
    peak = torch.cuda.max_memory_allocated(place) if place.type == "cuda" else peak_ram() or 0
    return Cost(step_s, window_s, peak, fastest, kernels)


def _kernels(recipe: Recipe, classes: int, device: torch.device, precision: Precision) -> Kernels:
    training = replace(recipe.training, precision=precision)
    return faster_kernels(
        recipe.network, classes, recipe.sampling.patch, device, training.autocast, training.compile
    )


def _build(
    recipe: Recipe, method: str, classes: int, device: torch.device, precision: Precision
) -> Method:
    random = torch.Generator().manual_seed(0)
    built = METHODS[method](
        lambda scheme: recipe.network.build(classes, scheme, random),
        classes,
        **recipe.methods.get(method, {}),
    ).to(device)
    built.precision = replace(recipe.training, precision=precision).autocast
    built.random = torch.Generator(device).manual_seed(0)
    return built


def _step_seconds(
    recipe: Recipe,
    method: str,
    classes: int,
    device: torch.device,
    precision: Precision,
    kernels: Kernels = USUAL,
) -> float:
    built = _build(recipe, method, classes, device, precision)
    optimisers = build_optimisers(built, recipe.training)
    batch = _noise(recipe, built, classes).to(device)
    # The learning rate is 0: noise must not drive the weights to infinity.
    with running_with(kernels.taken, device, built):
        return _seconds(lambda: step(built, optimisers, batch, progress=0.5, rate=0.0), device)


def _noise(recipe: Recipe, method: Method, classes: int) -> Batch:
    """A batch with all classes in it, in slabs of their own."""
    sampling = recipe.sampling
    unlabelled = sampling.unlabelled if method.needs_unlabelled else 0
    depth, height, width = sampling.patch
    random = torch.Generator().manual_seed(0)
    images = torch.rand((sampling.labelled + unlabelled, 1, *sampling.patch), generator=random)
    slabs = torch.arange(width) * classes // width
    labels = slabs.expand(sampling.labelled, depth, height, width).contiguous()
    maps = None
    if method.needs_distance_maps:
        maps = torch.from_numpy(signed_distance_maps(labels.byte().numpy(), classes))
    ids = tuple(f"noise {index}" for index in range(len(images)))
    return Batch(images[: sampling.labelled], labels, images[sampling.labelled :], ids, maps)


def _window_seconds(recipe: Recipe, method: Method, device: torch.device) -> float:
    count = min(WINDOWS, windows_at_once(recipe.window.size, device))
    windows = torch.rand((count, 1, *recipe.window.size), device=device)
    method.eval()
    with torch.inference_mode():
        return _seconds(lambda: method.predict(windows), device) / count


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """Median of a few calls; the first one, which also chooses kernels, only if it is slow."""
    first = _timed(call, device)
    if first > SLOWEST_S:
        return first
    return statistics.median(_timed(call, device) for _ in range(TIMED_CALLS))


def _timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of the wall clock; on a busy CPU those that the call would take alone."""
    _wait(device)
    wall, processor = time.perf_counter(), time.process_time()
    call()
    _wait(device)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    if device.type != "cpu" or not is_busy():
        return wall
    return min(wall, processor / torch.get_num_threads() / PARALLEL_SHARE)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
