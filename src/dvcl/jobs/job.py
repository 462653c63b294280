"""A job: commands that run one after another; and how one that is at work is followed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOG_LINES = 3

Command = tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """Commands to run one after another; the first that fails ends the job.

    Attributes:
        title: For people; unique among the jobs of one call.
        commands: Arguments of Python, as `program` makes them.
        log: File that takes what they print.
        folders: Those that a process holds while it works on this job.
    """

    title: str
    commands: tuple[Command, ...]
    log: Path
    folders: tuple[Path, ...] = ()

    def reason(self) -> str:
        """The end of the log, where a failed command says why."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        told = [line for line in lines if line.startswith("error:")] or lines[-LOG_LINES:]
        return " ".join(" ".join(told[-LOG_LINES:]).split()) or "it left no message"


def program(*arguments: str, processes: int = 1) -> Command:
    """`dvcl` with these arguments; more than one process share its work through torchrun."""
    shared = ("torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m")
    return ("-m", *(shared if processes > 1 else ()), "dvcl.cli", *arguments)


class Handle(ABC):
    """A job at work."""

    @abstractmethod
    def poll(self) -> int | None:
        """Exit code once it has ended."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to save and end, and wait for that; jobs of Slurm go on."""

    @property
    def is_queued(self) -> bool:
        """Whether it waits for its turn on a machine."""
        return False


Start = Callable[[Job, int], Handle]  # job, and the place it takes among those at work
