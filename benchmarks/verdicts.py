"""How often verdicts and intervals err when the truth is known: simulated trainings and cases.

Claims: trainings of one and the same method are called different in at most 5 % of all tables (14
rows, Holm), with 2, 3 and 5 seeds, 6, 12 and 30 cases and a standard deviation over seeds of 0.5 to
20 points; a 95 % interval covers the truth in 93 to 97 % of all studies, with 12 skewed cases too,
where there is one seed, and in 93 to 99 % where there are several.

    python benchmarks/verdicts.py [--quick]

Beside what dvcl does stand the other ways that were tried. A mixed model needs statsmodels, which
dvcl does not: --mixed, where that is installed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats

from dvcl.evaluation.margins import Sources, margins, sources
from dvcl.evaluation.statistics import LEVEL, smallest_p

ROWS = 14
SEEDS, CASES, SPREADS = (2, 3, 5), (6, 12, 30), (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
CASE_SD, MIXED_SD = 4.5, 2.0  # points; as in the recorded hippocampus runs
CASE_SHARE = 2.0  # points by which two methods differ from case to case

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

SHAPES: dict[str, Draw] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "gamma 2 (skewness 1.4)": lambda random, shape: (random.gamma(2, size=shape) - 2) / 2**0.5,
    "log-normal 0.5 (1.8)": lambda random, shape: (
        (np.exp(0.5 * random.normal(size=shape)) - np.exp(0.125)) / 0.604
    ),
    "exponential (2)": lambda random, shape: random.exponential(size=shape) - 1,
}


def tables(
    random: np.random.Generator, studies: int, seeds: int, cases: int, spread: float | np.ndarray
) -> np.ndarray:
    """(studies, 1 + ROWS, seeds, cases) scores in points: the same method again and again."""
    shape = (studies, 1 + ROWS, seeds, cases)
    training = random.normal(size=(*shape[:3], 1)) * spread
    case = CASE_SD * random.normal(size=(studies, 1, 1, cases))
    return case + training + MIXED_SD * random.normal(size=shape)


def pairs(
    random: np.random.Generator, studies: int, seeds: int, cases: int, spread: float, shape: str
) -> tuple[np.ndarray, np.ndarray]:
    """(studies, seeds, cases) of two methods of equal mean that differ from case to case."""
    first, second = (
        random.normal(size=(studies, seeds, 1)) * spread
        + MIXED_SD * random.normal(size=(studies, seeds, cases))
        for _ in range(2)
    )
    return first + CASE_SHARE * SHAPES[shape](random, (studies, 1, cases)), second


def is_outside(found: Sources, level: float) -> np.ndarray:
    """Whether 0 is outside of the interval."""
    down, up = margins(found, level)
    return (found.difference - down > 0) | (found.difference + up < 0)


def called_different(scores: np.ndarray, floor: bool = True) -> float:
    """The share of tables in which any row is called better or worse.

    Holm's first step decides whether there is any. Without the floor the claim of few cases is
    tested too, where dvcl gives no verdict at all.
    """
    if floor and smallest_p(scores.shape[-1], ROWS) >= LEVEL:
        return 0.0
    found = sources(scores[:, 1:], scores[:, :1])
    return float(is_outside(found, LEVEL / ROWS).any(1).mean())


def covered(first: np.ndarray, second: np.ndarray) -> float:
    """The share of studies whose interval holds the true difference, 0."""
    return float(1 - is_outside(sources(first, second), LEVEL).mean())


def over_cases(scores: np.ndarray) -> np.ndarray:
    """p of Wilcoxon's test over cases alone, seeds averaged: what dvcl did before."""
    means = scores.mean(2)
    return stats.wilcoxon(means[:, 1:] - means[:, :1], axis=-1).pvalue


def over_trainings(scores: np.ndarray) -> np.ndarray:
    """p of Welch's test over the means of trainings alone."""
    means = scores.mean(3)
    return stats.ttest_ind(means[:, 1:], means[:, :1], axis=-1, equal_var=False).pvalue


def summed(scores: np.ndarray) -> np.ndarray:
    """p of one t-test with the sum of both variances, degrees of freedom by Satterthwaite."""
    found = sources(scores[:, 1:], scores[:, :1])
    parts = ((found.by_training, found.training_freedom), (found.by_case, found.case_freedom))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return 2 * stats.t.sf(np.abs(found.difference) / np.sqrt(variance), freedom)


def paired(scores: np.ndarray) -> np.ndarray:
    """The same of differences paired by seed, as if equal seeds had something in common."""
    differences = scores[:, 1:] - scores[:, :1]
    seeds, cases = differences.shape[-2:]
    parts = (
        (differences.mean(-1).var(-1, ddof=1) / seeds, seeds - 1),
        (differences.mean(-2).var(-1, ddof=1) / cases, cases - 1),
    )
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return 2 * stats.t.sf(np.abs(differences.mean((-2, -1))) / np.sqrt(variance), freedom)


def resampled(random: np.random.Generator, scores: np.ndarray, times: int = 200) -> np.ndarray:
    """p of a bootstrap of seeds, of each method by itself, and cases, by their normal spread."""
    methods, seeds, cases = scores.shape[1:]
    drawn = []
    for _ in range(times):
        picked = random.integers(0, seeds, (1, methods, seeds, 1))
        sample = np.take_along_axis(scores, picked, 2)[..., random.integers(0, cases, cases)]
        drawn.append(_against_first(sample))
    return 2 * stats.norm.sf(np.abs(_against_first(scores)) / np.std(drawn, axis=0))


def _against_first(scores: np.ndarray) -> np.ndarray:
    means = scores.mean((-2, -1))
    return means[:, 1:] - means[:, :1]


def mixed_model(scores: np.ndarray) -> np.ndarray:
    """p of the fixed effect of a linear mixed model with crossed seeds and cases, first row."""
    import pandas as pd
    import statsmodels.formula.api as models

    found = []
    for study in scores[:, :2]:
        method, seed, case = np.indices(study.shape).reshape(3, -1)
        table = pd.DataFrame(
            {"score": study.ravel(), "method": method, "all": 1,
             "seed": [f"{m} {s}" for m, s in zip(method, seed, strict=True)],
             "case": [f"case {c}" for c in case]}
        )  # fmt: skip
        crossed = {"seed": "0 + seed", "case": "0 + case"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = models.mixedlm("score ~ method", table, groups="all", vc_formula=crossed)
            found.append(model.fit().pvalues["method"])
    return np.array(found)[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer studies")
    parser.add_argument("--mixed", action="store_true", help="also statsmodels' mixed model")
    arguments = parser.parse_args()
    studies, began = 400 if arguments.quick else 2000, time.process_time()
    show_tables(np.random.default_rng(0), studies)
    show_others(np.random.default_rng(1), studies)
    show_uneven(np.random.default_rng(2), studies)
    show_coverage(np.random.default_rng(3), 4 * studies)
    if arguments.mixed:
        show_mixed(np.random.default_rng(4), 300)
    print(f"{studies} studies each, {time.process_time() - began:.0f} s")


def show_tables(random: np.random.Generator, studies: int) -> None:
    print("\nTables of one method with any verdict, % (no row of 14 differs); no floor of p\n")
    print("| seeds | cases | " + " | ".join(f"SD {spread:g}" for spread in SPREADS) + " |")
    print("|--:|--:|" + "--:|" * len(SPREADS))
    for seeds in SEEDS:
        for cases in CASES:
            shares = [
                called_different(tables(random, studies, seeds, cases, spread), floor=False)
                for spread in SPREADS
            ]
            print(f"| {seeds} | {cases} | {' | '.join(f'{100 * x:.1f}' for x in shares)} |")


def show_others(random: np.random.Generator, studies: int) -> None:
    """Other constructions, the worst of all spreads."""
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "cases alone (Wilcoxon)": over_cases,
        "trainings alone (Welch)": over_trainings,
        "both variances, Satterthwaite": summed,
        "the same, paired by seed": paired,
        "bootstrap of seeds and cases": lambda scores: resampled(random, scores[:400]),
    }
    print("\nThe same by other ways, the worst of all spreads, %\n")
    columns = [(seeds, cases) for seeds in SEEDS for cases in (12, 30)]
    print("| | " + " | ".join(f"{s} seeds, {c} cases" for s, c in columns) + " |")
    print("|:--|" + "--:|" * len(columns))
    made = {
        column: [tables(random, studies, *column, spread) for spread in SPREADS]
        for column in columns
    }
    for name, way in ways.items():
        cells = [max((way(s) * ROWS < LEVEL).any(1).mean() for s in made[c]) for c in columns]
        print(f"| {name} | {' | '.join(f'{100 * cell:.1f}' for cell in cells)} |")
    ours = [max(called_different(s) for s in made[c]) for c in columns]
    print(f"| **two intervals put together** | {' | '.join(f'{100 * x:.1f}' for x in ours)} |")


def show_uneven(random: np.random.Generator, studies: int) -> None:
    """Methods of equal mean that are no longer the same, where the claim does not reach."""
    print("\nWhere methods of equal mean scatter unlike each other or not normally, %\n")
    print(
        "| seeds | reference SD 0.5, others 20 | reference 20, others 0.5 | one of ten collapses |"
    )
    print("|--:|--:|--:|--:|")
    for seeds in SEEDS:
        spreads = [np.full((1, 1 + ROWS, 1, 1), others) for others in (20.0, 0.5)]
        spreads[0][:, 0], spreads[1][:, 0] = 0.5, 20.0
        shares = [called_different(tables(random, studies, seeds, 12, each)) for each in spreads]
        scores = tables(random, studies, seeds, 12, 1.0)
        scores -= 30.0 * (random.random((*scores.shape[:3], 1)) < 0.1)
        shares.append(called_different(scores))
        print(f"| {seeds} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |")


def show_coverage(random: np.random.Generator, studies: int) -> None:
    print("\nCoverage of the 95 % interval, %; one seed: over cases alone\n")
    columns = [f"{seeds} seeds, SD {spread:g}" for seeds in SEEDS for spread in (0.5, 5.0)]
    print(f"| cases' differences | cases | 1 seed | {' | '.join(columns)} |")
    print("|:--|--:|--:|" + "--:|" * (2 * len(SEEDS)))
    for shape in SHAPES:
        for cases in CASES:
            alone = SHAPES[shape](random, (studies, 1, cases))
            shares = [covered(alone, np.zeros_like(alone))]
            shares += [
                covered(*pairs(random, studies, seeds, cases, spread, shape))
                for seeds in SEEDS
                for spread in (0.5, 5.0)
            ]
            print(f"| {shape} | {cases} | {' | '.join(f'{100 * x:.1f}' for x in shares)} |")


def show_mixed(random: np.random.Generator, studies: int) -> None:
    print("\nMixed model, one row: p below 0.05 and below 0.05 / 14, %\n")
    for seeds, spread in ((3, 0.5), (3, 2.0), (3, 20.0), (5, 2.0)):
        p = mixed_model(tables(random, studies, seeds, 12, spread))
        shares = [100 * float((p < level).mean()) for level in (LEVEL, LEVEL / ROWS)]
        print(f"{seeds} seeds, 12 cases, SD {spread:g}: {shares[0]:.1f}, {shares[1]:.1f}")


if __name__ == "__main__":
    main()
