"""How often limits hold on real cases: the held-out cases of a calibration, divided at random.

    python benchmarks/coverage.py RUN/calibration.json

Takes a file that `dvcl calibrate RUN` wrote. Of its cases some are drawn to calibrate, all others
stand for new scans; over many draws the limits should hold with the chosen probability, and in one
draw they scatter about it. Nothing is predicted or trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dvcl.evaluation.conformal import at_least, cases_needed, interval
from dvcl.evaluation.expected_dice import fit_dice
from dvcl.files import read_json

DRAWS = 200
Case = Mapping[str, float]


def values(cases: Sequence[Case], name: str) -> list[float]:
    return [case[name] for case in cases]


def held(known: Sequence[Case], others: Sequence[Case], level: float) -> tuple[float, ...]:
    """Shares of other cases within the limits, the limits, and the error of the expected Dice."""
    errors = [abs(c["reference_ml"] - c["predicted_ml"]) / c["predicted_ml"] for c in known]
    low, high = interval([1.0] * len(known), errors, level)
    least = at_least(values(known, "dice"), level)
    line = fit_dice(values(known, "agreement"), values(known, "dice"))
    ratios = np.divide(values(others, "reference_ml"), values(others, "predicted_ml"))
    dice = np.array(values(others, "dice"))
    expected = np.array([line(agreement) for agreement in values(others, "agreement")])
    return (
        float(((low <= ratios) & (ratios <= high)).mean()), high - 1,
        float((dice >= least).mean()), least,
        float(np.abs(expected - dice).mean()), line.error,
        float(np.abs(np.mean(values(known, "dice")) - dice).mean()),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("calibration", type=Path)
    chosen = parser.parse_args()
    print(f"{DRAWS} draws; coverage of all draws together, and of the 5th to the 95th of 100.")
    print("organ        level cases | volume within ± limit        | Dice above limit"
          "             | expected Dice: error, said, of the mean")  # fmt: skip
    for organ, record in read_json(chosen.calibration)["organs"].items():
        cases = record["cases"]
        for level, count in ((0.9, 9), (0.9, 19), (0.9, 40), (0.95, 19), (0.95, 40)):
            if not cases_needed(level) <= count < len(cases):
                continue
            random = np.random.default_rng(0)
            rows = []
            for _ in range(DRAWS):
                order = random.permutation(len(cases))
                known, others = ([cases[i] for i in part] for part in np.split(order, [count]))
                rows.append(held(known, others, level))
            table = np.array(rows)
            volume, size, above, least, error, said, of_mean = table.mean(0)
            (v5, v95), (d5, d95) = (np.percentile(table[:, c], [5, 95]) for c in (0, 2))
            print(
                f"{organ[:12]:12} {level:5} {count:5} | {volume:.3f} ({v5:.2f}-{v95:.2f}) "
                f"±{size:.0%}       | {above:.3f} ({d5:.2f}-{d95:.2f}) {least:.3f}"
                f"       | {error:.3f} {said:.3f} {of_mean:.3f}"
            )


if __name__ == "__main__":
    main()
