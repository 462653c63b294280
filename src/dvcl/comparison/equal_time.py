"""Schedules that take every run of a comparison as long, from measured steps that are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from dvcl.files import write_json
from dvcl.records import Positive, read_record
from dvcl.resources import processor_name
from dvcl.training.optimisation import Training

FILE = "equal_time.json"
REMEDY = "Restore the file from a copy, or delete it to have the steps measured again."

# Of a shorter run, at most this share of the steps warms up.
MOST_WARMUP = 0.2


class StepSeconds(TypedDict):
    """equal_time.json."""

    processor: str
    seconds_per_step: dict[str, Positive]


def schedule(training: Training, share: float) -> tuple[str, ...]:
    """What gives a run this share of the steps, as "key=value"; it is validated as often.

    Args:
        training: The schedule of the baseline.
        share: The baseline's seconds per step over the method's own.
    """
    steps = max(1, round(share * training.iterations))
    settings = {
        "iterations": steps,
        "validate_every": math.ceil(share * training.validate_every),
        "warmup": min(training.warmup, math.ceil(MOST_WARMUP * steps)),
    }
    return tuple(f"training.{key}={value}" for key, value in settings.items())


def read_step_seconds(folder: Path) -> dict[str, float]:
    """What a comparison has measured so far: seconds of a step by what takes it.

    Raises:
        InputError: When the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    with read_record(path, StepSeconds, REMEDY) as record:
        return record["seconds_per_step"]


def write_step_seconds(folder: Path, seconds: Mapping[str, float]) -> None:
    """Keep what was measured, and the processor of the machine that took so long."""
    write_json(folder / FILE, {"processor": processor_name(), "seconds_per_step": dict(seconds)})
