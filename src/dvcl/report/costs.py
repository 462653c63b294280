"""What every method costs: time and memory, and whether these can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dvcl.report.tables import UNDEFINED, TextTable


@dataclass(frozen=True)
class Cost:
    """Of the runs of one method.

    Attributes:
        runs: That count.
        steps: Of a run.
        minutes: Of a run, with validation; the median.
        seconds_per_step: The median over runs of their means, on one clock.
        relative: The same over the baseline's.
        peak_mib: Most memory of any run; NaN where none tells.
        machines: Device and threads, each once.
    """

    runs: int
    steps: int
    minutes: float
    seconds_per_step: float
    relative: float
    peak_mib: float
    machines: tuple[str, ...]


def cost_table(costs: Mapping[str, Cost], reference: str) -> TextTable:
    """One row per method.

    Args:
        costs: By the name of the row.
        reference: What ``relative`` is relative to.
    """
    return TextTable(
        ("Method", "Runs", "Steps", "Minutes per run", "s/step", f"× {reference}", "Peak MiB",
         "Device"),
        tuple(
            (
                name, str(cost.runs), str(cost.steps), f"{cost.minutes:.1f}",
                f"{cost.seconds_per_step:.3f}", _number(cost.relative, 2),
                _number(cost.peak_mib, 0), "; ".join(cost.machines),
            )
            for name, cost in costs.items()
        ),
        "Medians over runs; minutes on the clock, with validation. s/step: mean over the steps, of "
        "the processor where it trained, all threads together, else on the clock. Peak MiB: most "
        "memory that a run has held, of the GPU where there is one; "
        f"{UNDEFINED} where it did not tell."
        + (f" {UNEVEN}" if is_uneven(costs) else ""),
    )  # fmt: skip


UNEVEN = "Attention: these runs were made with different devices or threads: times do not compare."


def is_uneven(costs: Mapping[str, Cost]) -> bool:
    """Whether the runs come from different machines."""
    return len({machine for cost in costs.values() for machine in cost.machines}) > 1


def _number(value: float, digits: int) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.{digits}f}"
