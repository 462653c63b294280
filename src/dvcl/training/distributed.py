"""One run on the processes that torchrun has started (`networks.sharing` divides the batches)."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dvcl.errors import InputError, counted
from dvcl.networks.sharing import shared_batches
from dvcl.resources import Launch, launch, usable_cores

Result = TypeVar("Result")

# The others wait while the first one validates, however long that takes.
PATIENCE = timedelta(days=30)
ERROR = "error"


@dataclass
class Processes:
    """Those that train one run together. All do the same; only the networks' work is divided.

    Attributes:
        place: Of this process among them.
        messages: Group that carries what they tell each other, and waits for long; None for one
            process alone, which does everything as if there were no others.
    """

    place: Launch
    messages: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this one validates, writes and speaks for all."""
        return self.place.rank == 0

    def share_batches(self) -> AbstractContextManager[None]:
        """Within the block each runs networks on a share of every batch."""
        return shared_batches(self.place.rank, self.place.world_size)

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Put the mean over processes in the place of each gradient."""
        if self.messages is None or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.place.world_size
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def agree(self, signal: int | None, random: torch.Generator) -> int | None:
        """The signal that any process has received, the same for all; None if there is none.

        Args:
            signal: What this one has received.
            random: Drawn from as often by all; that is checked, as all else rests on it.
        """
        if self.messages is None:
            return signal
        states = torch.cat([random.get_state(), torch.get_rng_state()])
        drawn = zlib.crc32(states.numpy().tobytes())
        told = torch.tensor([signal or 0, drawn, -drawn])
        dist.all_reduce(told, dist.ReduceOp.MAX, self.messages)
        received, highest, lowest = told.tolist()
        if highest != -lowest:
            raise RuntimeError("the processes of this run have drawn different random numbers")
        return received or None

    def lead(self, action: Callable[[], Result]) -> Result:
        """Have the first process do something while the others wait; all get its result."""
        if self.messages is None:
            return action()
        result = [action() if self.is_first else None]
        dist.broadcast_object_list(result, src=0, group=self.messages)
        return result[0]  # type: ignore[return-value]


ALONE = Processes(Launch())


@contextmanager
def joined(device: str = "auto") -> Iterator[tuple[Processes, str]]:
    """Join the other processes of this run; yields them and the name of this one's device.

    An error of one ends all: it is raised in the first process too, which tells it.

    Args:
        device: As a person names it.

    Raises:
        InputError: When the processes cannot train on that device.
    """
    place = launch()
    if place.world_size == 1:
        yield ALONE, device
        return
    own = own_device(device, place)
    share_cores(place)
    store, *_ = next(dist.rendezvous("env://"))
    dist.init_process_group(
        "nccl" if own.startswith("cuda") else "gloo",
        store=store, rank=place.rank, world_size=place.world_size,
    )  # fmt: skip
    processes = Processes(place, dist.new_group(backend="gloo", timeout=PATIENCE))
    try:
        yield processes, own
    except Exception as error:
        _leave_word(error, store, place.rank)
        raise
    finally:
        # The threads of a group that something still holds can abort Python as it ends.
        processes.messages = None
        dist.destroy_process_group()


def own_device(name: str, place: Launch) -> str:
    """The GPU with this process's number on its machine, or the CPU for all.

    Raises:
        InputError: When there are fewer GPUs than processes, or one device is named for all.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if name not in ("auto", "cuda"):
        raise InputError(
            f"--device {name!r} found for {place.world_size} processes; auto, cuda or cpu "
            "expected. Each process takes a GPU of its own."
        )
    gpus = torch.cuda.device_count()
    if gpus < place.local_world_size:
        raise InputError(
            f"{place.local_world_size} processes found on a machine with {counted(gpus, 'GPU')}. "
            "Start torchrun with --nproc-per-node of at most that, or train with --device cpu."
        )
    torch.cuda.set_device(place.local_rank)
    return f"cuda:{place.local_rank}"


def share_cores(place: Launch) -> None:
    """Give each process of this machine as many threads as there are cores for it."""
    # torchrun sets 1 where nothing is set.
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        torch.set_num_threads(max(1, usable_cores() // place.local_world_size))


def _leave_word(error: Exception, store: dist.Store, rank: int) -> None:
    """Let the other processes know of an error, or raise theirs, if this one follows from it."""
    # Who waits for a process that has ended gets a RuntimeError that says nothing of the cause.
    if isinstance(error, RuntimeError) and store.check([ERROR]):
        raise InputError(store.get(ERROR).decode()) from None
    if "by peer" in str(error):
        raise InputError(
            "another process of this run has ended without a word; the system may have killed it "
            "for lack of memory. Run the same command again to continue, or use fewer processes."
        ) from None
    kind = "" if isinstance(error, InputError) else f"process {rank}: {type(error).__name__}: "
    store.set(ERROR, f"{kind}{error}")
