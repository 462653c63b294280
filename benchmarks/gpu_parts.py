"""What `gpu.py` checks and measures on a device; each part returns a table, name by name."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_losses import curve
from measuring import MIB, counted_waits, timed
from safetensors.torch import load_file
from sliding_window import make_image, make_predict
from steps import CLASSES, NETWORK, make_batch, make_method

from dvcl.inference.sliding_window import Window, predict_volume
from dvcl.losses.neighbours import find_neighbours
from dvcl.methods import METHODS
from dvcl.networks import Network
from dvcl.sampling.settings import Sampling
from dvcl.sampling.streams import Sampler
from dvcl.store import StoredCase
from dvcl.training.engine import step, train
from dvcl.training.journal import Row
from dvcl.training.kernels import CANDIDATES, faster_kernels, running_with
from dvcl.training.optimisation import Training, build_optimisers

ROOT = Path(__file__).parents[1]
WINDOW = Window((64, 160, 160), (32, 80, 80))
DEAREST = "magicnet"  # see the row of methods.py in the README
CPU = torch.device("cpu")
MOST_APART = 1e-3  # of losses, relative, and of probabilities: other kernels round otherwise
MOST_APART_LATER = 5e-2  # after steps in which that has grown

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Form:
    """Sizes of all parts; the small ones pass on a CPU in a minute or two."""

    device: torch.device
    steps: int = 20
    timed_steps: int = 12
    patch: tuple[int, int, int] = (64, 128, 128)
    patches: int = 4
    neighbours: tuple[int, int] = (8192, 65536)
    volume: tuple[int, int, int] = (400, 512, 512)
    window: Window = WINDOW
    network: Network = NETWORK
    tests: tuple[str, ...] = ("tests/device", "tests/networks/test_low_precision.py")


SMALL = Form(
    CPU, 2, 4, (16, 32, 32), 1, (256, 2048), (32, 48, 48), Window((16, 32, 32), (16, 16, 16)),
    Network(base_channels=4, levels=3, dropout=0.0), ("tests/device/test_pretended.py",),
)  # fmt: skip


def tests(form: Form) -> Rows:
    """The tests of devices."""
    command = [sys.executable, "-m", "pytest", "-q", *form.tests]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = found.stdout.strip().splitlines()[-1:]
    if found.returncode:
        raise RuntimeError(f"{' '.join(command)}: {told}")
    return {"tests": {"found": told[0]}}


def losses(form: Form) -> Rows:
    """Losses of every method on the device and on the CPU, in float32 and with the same draws."""
    torch.backends.cudnn.allow_tf32 = False
    rows = {}
    for name in METHODS:
        ours, theirs = (curve(name, where, form.steps) for where in (form.device, CPU))
        apart = [max(_apart(*pair)) for pair in zip(ours, theirs, strict=True)]
        rows[name] = {"first step": apart[0], f"within {form.steps} steps": max(apart)}
    torch.backends.cudnn.allow_tf32 = True
    return _kept(rows, "first step", MOST_APART)


def resume(form: Form) -> Rows:
    """A run that stops after two of four steps ends as one that does not: on a CPU bit for bit.

    Some of a GPU's kernels add in any order, so that no two runs there are the same bit for bit.
    """
    rows = {}
    for name in ("supervised", "dan", "dvcl"):
        with tempfile.TemporaryDirectory() as folder:
            whole, cut = Path(folder) / "whole", Path(folder) / "cut"
            expected = _train(form, name, whole, 4)[-1]["terms"]
            _train(form, name, cut, 4, stop_at=3)
            found = _train(form, name, cut, 4)[-1]["terms"]
            ends = [load_file(path / "last.safetensors") for path in (whole, cut)]
        unlike = [key for key, value in ends[0].items() if not torch.equal(value, ends[1][key])]
        rows[name] = {
            "tensors": len(ends[0]), "unlike": len(unlike),
            "loss apart": max(_apart([*found.values()], [*expected.values()])),
        }  # fmt: skip
    on_cpu = form.device.type == "cpu"
    return _kept(rows, *(("unlike", 0) if on_cpu else ("loss apart", MOST_APART_LATER)))


def predict(form: Form) -> Rows:
    """Probabilities on the device against those of the CPU, in float32."""
    torch.backends.cudnn.allow_tf32 = False
    method = make_method(METHODS["dvcl"], "cpu", form.network, precision=None).eval()
    images = make_batch(form.patch, "cpu", 1, 1).images
    with torch.inference_mode():
        expected = method.predict(images)
        found = method.to(form.device).predict(images.to(form.device)).cpu()
    torch.backends.cudnn.allow_tf32 = True
    rows = {"dvcl": {"largest difference": (found - expected).abs().max().item()}}
    return _kept(rows, "largest difference", MOST_APART)


def paper_steps(form: Form) -> Rows:
    """Steps as a run takes them, with the sampler, at the paper's patch."""
    rows = {}
    for name in ("supervised", "cps", "dvcl", DEAREST):
        _reset_peak(form.device)
        with tempfile.TemporaryDirectory() as folder, counted_waits(form.device) as waits:
            told = _train(form, name, Path(folder), 20_000, form.timed_steps, waits)
        steady = told[len(told) // 2 :]
        cuda = form.device.type == "cuda"
        seconds = statistics.median(row["seconds"] for row in steady)
        waited = statistics.median(row["waited"] for row in steady)
        rows[name] = {
            "seconds": seconds, "waiting share": waited / seconds, "peak MiB": _peak(form.device),
            "waits of the host": max(waits[1:-1]) if cuda else "not counted",
            "hours of 20,000 steps": seconds * 20_000 / 3600,
        }  # fmt: skip
    return rows


def variants(form: Form) -> Rows:
    """Seconds of a supervised step in other precisions, layouts and kernels, by which to choose."""
    batch, training = make_batch(form.patch, form.device.type, form.patches, 0), Training(rate=1e-3)

    def seconds(name: str, precision: torch.dtype | None = torch.bfloat16) -> float:
        method = make_method(METHODS["supervised"], form.device.type, form.network, precision)
        optimisers = build_optimisers(method, training)
        if name == "fused SGD":
            optimisers["network"].param_groups[0].update(foreach=False, fused=True)

        def take() -> None:
            step(method, optimisers, batch, 0.9, training.rate)

        with running_with([kernel for kernel in CANDIDATES if kernel == name], form.device, method):
            take()
            take()
            return statistics.median(timed(take) for _ in range(3))

    # On a CPU the compiler takes minutes.
    names = [
        name
        for name, candidate in CANDIDATES.items()
        if form.device.type in candidate.devices
        and (form.device.type == "cuda" or not candidate.asked_only)
    ]
    rows: Rows = {"float32": {"seconds": seconds("float32", None)}}
    for name in ("bfloat16", "fused SGD", *names):
        try:
            rows[name] = {"seconds": seconds(name)}
        except Exception as error:  # of a kernel or compiler that this machine lacks
            rows[name] = {"seconds": f"failed: {str(error).splitlines()[0]}"}
    return rows


def kernels(form: Form) -> Rows:
    """What a run would choose at its start."""
    found = faster_kernels(form.network, CLASSES, form.patch, form.device, torch.bfloat16)
    return {name: {"found": words} for name, words in found.found.items()}


def neighbours(form: Form) -> Rows:
    """The search of the distance-aware loss."""
    queries, candidates = (
        torch.nn.functional.normalize(torch.rand(count, 256, device=form.device), dim=1)
        for count in form.neighbours
    )
    find_neighbours(queries, candidates, 10, 20)
    _reset_peak(form.device)
    seconds = timed(lambda: find_neighbours(queries, candidates, 10, 20))
    what = f"{form.neighbours[0]} x {form.neighbours[1]}"
    return {what: {"seconds": seconds, "peak MiB": _peak(form.device)}}


@torch.inference_mode()
def volume(form: Form) -> Rows:
    """A whole CT through the sliding window."""
    image, network = make_image(form.volume), make_predict(form.device.type)
    _reset_peak(form.device)
    rows = {}
    for name, window in (("usual", form.window), ("fast", form.window.fast())):
        found = timed(lambda window=window: predict_volume(network, image, window, form.device))
        rows[f"{name}, {form.volume}"] = {"seconds": found, "peak MiB": _peak(form.device)}
    return rows


PARTS: dict[str, Callable[[Form], Rows]] = {
    part.__name__: part
    for part in (tests, losses, resume, predict, paper_steps, variants, kernels, neighbours, volume)
}


def _apart(found: Sequence[float], expected: Sequence[float]) -> list[float]:
    return [abs(a - b) / max(abs(b), 1e-6) for a, b in zip(found, expected, strict=True)]


def _kept(rows: Rows, what: str, most: float) -> Rows:
    """The rows, unless one of them is beyond what is right."""
    wrong = {name: row for name, row in rows.items() if not row[what] <= most}
    if wrong:
        raise RuntimeError(f"{what} of at most {most:g} expected, found {wrong}; all: {rows}")
    return rows


class Case(StoredCase):
    """In the place of a prepared case: blocks of organs in noise."""

    annotated = None

    def __init__(self, id: str, patch: tuple[int, int, int]) -> None:
        random = np.random.default_rng(list(id.encode()))
        blocks = random.integers(0, CLASSES, [side // 8 + 1 for side in patch], np.uint8)
        for axis in range(3):
            blocks = blocks.repeat(8, axis)
        self.id, self.scale, self.offset, self.label = id, 1e-3, 0.0, blocks
        self.image = random.integers(0, 999, blocks.shape, np.int16)


class Stop(Exception):
    """Ends a training from outside."""


def _train(
    form: Form,
    name: str,
    folder: Path,
    iterations: int,
    stop_at: int | None = None,
    waits: list[int] | None = None,
) -> list[Row]:
    """Rows of the steps of a run, or of its beginning."""
    told: list[Row] = []

    def observe(row: Row) -> None:
        told.append(row)
        if waits is not None:
            waits.append(0)
        if row["iteration"] == stop_at:
            raise Stop

    settings: dict[str, Any] = {}
    if name == DEAREST:
        settings = {"cube": tuple(side // 2 for side in form.patch)}
    elif name == "dvcl" and waits is None:
        settings = {"queue_size": 2048, "bank_size": 256}  # of which the disk holds less
    method = make_method(METHODS[name], "cpu", form.network, **settings)
    several = form.patches if method.needs_unlabelled else 0
    cases = [Case(f"case {number}", form.patch) for number in range(2 * form.patches)]
    sampling = Sampling(form.patch, form.patches, several)
    precision = "bf16" if form.device.type == "cuda" else "float32"
    training = Training(iterations, rate=0.01, validate_every=2, precision=precision)
    if waits is not None:
        training = replace(training, validate_every=iterations)
    with contextlib.suppress(Stop):
        train(
            method, Sampler(cases, cases, sampling, 0), training, folder,
            device=form.device, seed=0, observe=observe,
        )  # fmt: skip
    return [row for row in told if row["kind"] == "step"]


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float | str:
    cuda = device.type == "cuda"
    return torch.cuda.max_memory_allocated(device) / MIB if cuda else "not measured"
