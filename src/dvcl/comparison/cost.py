"""What the runs of a comparison took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from dvcl.comparison.findings import Findings
from dvcl.comparison.records import RunRecord, seconds_per_step
from dvcl.errors import counted
from dvcl.report.costs import Cost


def costs(found: Findings) -> dict[str, Cost]:
    """Of every row, relative to the reference where it is one of them, else to the first row."""
    against = seconds_per_step(found.runs[cost_reference(found)])
    return {name: _cost(records, against) for name, records in found.runs.items()}


def cost_reference(found: Findings) -> str:
    """Name of the row that the others are held against."""
    return found.reference if found.reference in found.runs else next(iter(found.runs))


def _cost(records: Sequence[RunRecord], against: float) -> Cost:
    seconds = seconds_per_step(records)
    machines = (
        f"{r.made_with['device']}, {counted(r.made_with['threads'], 'thread')}" for r in records
    )
    return Cost(
        len(records),
        records[0].settings["recipe"]["training"]["iterations"],
        median(record.minutes for record in records),
        seconds,
        seconds / against if against else math.nan,
        max((record.peak_mib for record in records if record.peak_mib), default=math.nan),
        tuple(dict.fromkeys(machines)),
    )
