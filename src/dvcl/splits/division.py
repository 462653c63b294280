"""How a data set is to be divided; the section [split] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dvcl.errors import InputError

ROUNDING = 1e-9  # 0.1 of 180 cases is 18, whatever binary fractions say


@dataclass(frozen=True)
class Division:
    """Settings of `make_split`.

    Attributes:
        test_share: In [0, 1), of the labelled cases; of a data set with test cases of its own, of
            those without a role. Rounded, at least one if any. Not used in a cross-validation.
        validation_share: In [0, 1), of the labelled cases before any are shared out; rounded, at
            least one from three labelled ones on; 0 for no validation.
        labelled_cases: Keep so many labelled and train on the rest without labels; None keeps all.
        labelled_share: Instead of a number: this share of the labelled training cases, rounded up.
        unlabelled_cases: Use so many cases without labels; None uses all. Those that gave up their
            labels come first, the others are drawn.
        unlabelled_per_labelled: Instead of a number: so many times the labelled cases, rounded.
        seed: Of every draw.
        stratify: Exchange cases until each organ occurs in each part, as far as that is possible.
        folds: Cross-validation: every labelled case is a test case in one of so many folds.
        fold: Which of the folds is the test part, from 0 on.
    """

    test_share: float = 0.0
    validation_share: float = 0.2
    labelled_cases: int | None = None
    labelled_share: float | None = None
    unlabelled_cases: int | None = None
    unlabelled_per_labelled: float | None = None
    seed: int = 0
    stratify: bool = True
    folds: int | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        problems = [
            *self._share_problems(),
            *self._number_problems("labelled_cases", "labelled_share"),
            *self._number_problems("unlabelled_cases", "unlabelled_per_labelled"),
        ]
        if self.seed < 0:
            problems.append(f"split.seed: {self.seed} found, 0 or more expected.")
        if self.folds is not None and self.folds < 2:
            problems.append(f"split.folds: {self.folds} found, 2 or more expected.")
        last = (self.folds or 1) - 1
        if not problems and not 0 <= self.fold <= last:
            hint = "" if self.folds else "; with split.folds (--folds) there are more"
            problems.append(f"split.fold: {self.fold} found, 0 to {last} expected{hint}.")
        if problems:
            raise InputError(problems)

    def labelled_of(self, available: int) -> int | None:
        """How many of the labelled training cases stay labelled; None for all."""
        if self.labelled_share is not None:
            return math.ceil(self.labelled_share * available - ROUNDING)
        return self.labelled_cases

    def unlabelled_for(self, labelled: int) -> int | None:
        """How many unlabelled cases go with so many labelled ones; None for all."""
        if self.unlabelled_per_labelled is not None:
            return int(self.unlabelled_per_labelled * labelled + 0.5)
        return self.unlabelled_cases

    def _share_problems(self) -> list[str]:
        shares = {"validation_share": self.validation_share, "test_share": self.test_share}
        problems = [
            f"split.{name}: {share} found, a share in [0, 1) expected."
            for name, share in shares.items()
            if not 0 <= share < 1
        ]
        if self.labelled_share is not None and not 0 < self.labelled_share <= 1:
            problems.append(
                f"split.labelled_share: {self.labelled_share} found, a share in (0, 1] expected."
            )
        together = self.validation_share + (0 if self.folds else self.test_share)
        if together >= 1 and not problems:
            problems.append(
                f"split.validation_share + split.test_share: {together} found, less than 1 "
                "expected, so that cases are left to train on."
            )
        return problems

    def _number_problems(self, number: str, instead: str) -> list[str]:
        values = {name: getattr(self, name) for name in (number, instead)}
        problems = [
            f"split.{name}: {value} found, 0 or more expected."
            for name, value in values.items()
            if value is not None and not value >= 0
        ]
        if None not in values.values():
            problems.append(
                f"split.{number} and split.{instead}: {values[number]} and {values[instead]} "
                "found, one of the two expected; set the other one to none."
            )
        return problems
