"""Which of a device's ways to run a network is faster, measured on the network and its patch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import torch
from torch import Tensor, nn

from dvcl.networks import Network, SegmentationNetwork
from dvcl.networks.channels_last import use_layout

Kernel = Literal["channels-first", "channels-last", "cudnn.benchmark", "torch.compile"]

ROUNDS = 3
LONG_S = 0.5  # calls that take longer are made in one round
PATCHES = 2
LONGEST_SIDE = 64  # voxels, of a patch measured on one thread: a larger one tells no more
# Of logits and gradients, relative: rounding explains a hundredth in bfloat16, a wrong kernel
# gives errors of about 1.
MOST_APART = 0.1


@dataclass(frozen=True)
class Candidate:
    """Another way to run networks than the device's usual one.

    Attributes:
        devices: Types of device that may have use for it.
        margin: It is taken where it is so many times as fast. On a processor the layout decides
            over the last bits of a run, so that chance must not choose it: measurements of one
            network differ by up to 1.4 times (docs/training.md), and that on one thread. On a GPU
            no two runs are the same anyway.
        use: Within its block networks run that way.
        asked_only: Whether only a person's wish makes it a candidate.
    """

    devices: tuple[str, ...]
    margin: float
    use: Callable[[Sequence[nn.Module]], AbstractContextManager[None]]
    asked_only: bool = False


@dataclass(frozen=True)
class Kernels:
    """What was measured.

    Attributes:
        taken: Names of those `CANDIDATES` that are used.
        found: Of every candidate that was tried, in words, how fast it was or why it failed.
    """

    taken: tuple[Kernel, ...]
    found: Mapping[Kernel, str]


USUAL = Kernels((), {})


@contextmanager
def _benchmarked(_: Sequence[nn.Module]) -> Iterator[None]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


@contextmanager
def _compiled(networks: Sequence[nn.Module]) -> Iterator[None]:
    for network in networks:
        if network._compiled_call_impl is None:
            network.compile()
    yield


CANDIDATES: dict[Kernel, Candidate] = {
    "channels-first": Candidate(("cpu",), 2.0, lambda _: use_layout(False)),
    "channels-last": Candidate(("cuda",), 1.1, lambda _: use_layout(True)),
    "cudnn.benchmark": Candidate(("cuda",), 1.1, _benchmarked),
    "torch.compile": Candidate(("cpu", "cuda"), 1.0, _compiled, asked_only=True),
}


@contextmanager
def running_with(
    taken: Sequence[Kernel], device: torch.device, method: nn.Module, is_trial: bool = False
) -> Iterator[None]:
    """Within the block the method's networks run as was chosen for a device of this type.

    But for a trial, what the compiler cannot do, such as a grown patch, runs uncompiled.
    """
    networks = [part for part in method.modules() if isinstance(part, SegmentationNetwork)]
    with ExitStack() as stack:
        if "torch.compile" in taken and not is_trial:
            import torch._dynamo

            stack.enter_context(torch._dynamo.config.patch(suppress_errors=True))
        for name in taken:
            if device.type in CANDIDATES[name].devices:
                stack.enter_context(CANDIDATES[name].use(networks))
        yield


@cache
def faster_kernels(
    network: Network,
    classes: int,
    patch: tuple[int, int, int],
    device: torch.device,
    precision: torch.dtype | None,
    asked: bool = False,
) -> Kernels:
    """Try one candidate after the other, forward and backward, with those taken before it.

    One that fails, or whose logits or gradients are others, is left out. Measured once in a
    process; a run keeps in its record what it has begun with. Draws no random numbers.

    Args:
        network: That is trained.
        classes: K.
        patch: Of the training, in voxels.
        device: Of the training.
        precision: Autocast type, None for float32.
        asked: Whether candidates are tried that only a person asks for.
    """
    taken: tuple[Kernel, ...] = ()
    found: dict[Kernel, str] = {}
    for name, candidate in CANDIDATES.items():
        if device.type not in candidate.devices or (candidate.asked_only and not asked):
            continue
        # A compiler compiles for a number of threads and a size: for it both are as in training.
        on_one = device.type == "cpu" and not candidate.asked_only
        sides = [min(side, LONGEST_SIDE) if on_one else side for side in patch]
        trial = partial(_Trial, network, classes, sides, device, precision)
        try:
            with one_thread() if on_one else nullcontext():
                speed = _speed(trial(taken), trial((*taken, name)), device)
        except ArithmeticError as error:
            found[name] = f"not used: {error}"
            continue
        except Exception as error:  # of a compiler or kernel that this machine lacks: of any class
            reason = str(error).strip().partition("\n")[0]
            found[name] = f"failed, not used ({type(error).__name__}: {reason})"
            continue
        is_faster = speed >= candidate.margin
        taken += (name,) * is_faster
        found[name] = f"{speed:.2f} times as fast, {'' if is_faster else 'not '}used"
    return Kernels(taken, found)


class _Trial:
    """One network, the same each time, and how it is run."""

    def __init__(
        self,
        network: Network,
        classes: int,
        patch: Sequence[int],
        device: torch.device,
        precision: torch.dtype | None,
        taken: tuple[Kernel, ...],
    ) -> None:
        random = torch.Generator().manual_seed(0)
        with torch.random.fork_rng(devices=[]):
            built = network.build(classes, "kaiming", random)
        # Without dropout, so that results can be compared.
        self.network = built.to(device).eval()
        self.images = torch.rand((PATCHES, 1, *patch), generator=random).to(device)
        self.precision, self.taken = precision, taken

    def __call__(self) -> list[Tensor]:
        """Logits, and the gradients of all weights as one vector."""
        device = self.images.device
        with (
            running_with(self.taken, device, self.network, is_trial=True),
            torch.autocast(device.type, self.precision, enabled=self.precision is not None),
        ):
            logits = self.network(self.images).logits
            weights = [*self.network.parameters()]
            gradients = torch.autograd.grad(logits.float().square().mean(), weights)
        return [logits.detach().float(), torch.cat([part.flatten() for part in gradients])]


def _speed(usual: _Trial, other: _Trial, device: torch.device) -> float:
    """How many times as fast as the usual one the other is.

    Raises:
        ArithmeticError: When their results are not the same.
    """
    for expected, found in zip(usual(), other(), strict=True):
        apart = float((found - expected).norm() / expected.norm())
        if not apart <= MOST_APART:
            raise ArithmeticError(f"its results differ by {apart:.2g} of their size")
    usual_s, other_s = least_seconds((usual, other), device)
    return usual_s / other_s


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch computes on one thread.

    On a busy machine threads wait for each other, spinning: a call of 16 ms then took a second.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def least_seconds(
    calls: Sequence[Callable[[], object]], device: torch.device, rounds: int = ROUNDS
) -> list[float]:
    """Seconds of each call, the fewest of several rounds in which they take turns.

    On a processor by its own clock: what else the machine does must not make one run of a seed
    differ from the next.
    """
    found = [[_seconds(call, device) for call in calls]]
    while len(found) < rounds and sum(map(sum, found)) < LONG_S:
        found.append([_seconds(call, device) for call in calls])
    return [min(seconds) for seconds in zip(*found, strict=True)]


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    _wait(device)
    began = clock()
    call()
    _wait(device)
    return clock() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
