"""Ctrl-C and signals that ask for an end: finish the step, save, stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

# Slurm sends one of the last two, if asked to, before a job's time is up; Windows has neither.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)


class Interrupted(Exception):
    """Training was asked to stop and has saved its state.

    Attributes:
        signal: The signal's number; 128 + signal is the customary exit code.
        iteration: Steps done and saved.
    """

    def __init__(self, number: int, iteration: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} after iteration {iteration}")
        self.signal = number
        self.iteration = iteration


class Interruption:
    """Remembers the first signal instead of dying of it; Ctrl-C after that takes the usual way.

    The others after it change nothing: Slurm and torchrun both send them to a training.

    Attributes:
        signal: The signal received, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        signal.signal(signal.SIGINT, self._previous[signal.SIGINT])
