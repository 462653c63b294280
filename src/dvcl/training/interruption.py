"""Ctrl-C and termination signals: finish the step, save, stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    """Remembers the first signal instead of dying of it; a second one takes the usual way.

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
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
