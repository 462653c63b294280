"""Records of runs, made by hand, for what is made from records alone."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dvcl import __version__
from dvcl.comparison.plan import Entry, changed
from dvcl.comparison.records import RunRecord
from dvcl.evaluation.cases import CaseScore

Dice = Mapping[str, float]


@pytest.fixture
def make_record() -> Callable[..., RunRecord]:
    """make_record(method, {case: Dice of organ "liver"}, ...) -> a record without a folder."""

    def make(
        method: str,
        liver: Dice,
        spleen: Dice | None = None,
        *,
        seed: int = 0,
        varied: tuple[str, ...] = (),
        group: str = "five",
        seconds: float = 1.0,
        **rest: object,
    ) -> RunRecord:
        suffix = "".join(f", {part}" for part in changed(varied))
        organs = {"liver": liver, "spleen": spleen or {}}
        settings = {
            "recipe": {"preprocessing": {"order": 1}, "methods": {},
                       "training": {"rate": 0.1, "iterations": 20}},
            "split": {"labelled": ["l"], "unlabelled": ["u", "v"], "validation": ["w"],
                      "test": list(liver)},
            "modality": "CT", "data": "abc",
        }  # fmt: skip
        return RunRecord(
            Entry(Path("study"), method, seed, None, varied, group + suffix),
            hash=f"{method}{seed}{varied}",
            settings=settings | dict(rest.pop("settings", {})),  # type: ignore[call-overload]
            made_with={"dvcl": __version__, "device": "cpu", "threads": "1"}
            | dict(rest.pop("made_with", {})),  # type: ignore[call-overload]
            seconds_per_step=seconds,
            minutes=seconds * 10,
            peak_mib=rest.pop("peak_mib", None),  # type: ignore[arg-type]
            validation=[
                {
                    "kind": "validation",
                    "iteration": step,
                    "mean_dice": dice,
                    "dice": {"liver": dice},
                }
                for step, dice in ((10, 0.2), (20, 0.4 + seed / 10))
            ],
            scores=[
                CaseScore(case, organ, dice, dice / 2, 0.0 if math.isnan(dice) else 10.0, 9.0)
                for organ, scores in organs.items()
                for case, dice in scores.items()
            ],
        )

    return make
