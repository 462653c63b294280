"""Which masks without a reference to take: limits of the agreement, learned where there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dvcl.errors import counted
from dvcl.evaluation.conformal import cases_needed

LEVEL = 0.9  # that of a calibration too: below it limits say little
Verdict = Literal["accept", "look", "reject"]


@dataclass(frozen=True)
class Limits:
    """What validation cases say of the agreement.

    Attributes:
        wanted: The mean Dice from which on a mask is good.
        accept_from: The agreement from which on every validation case is good; infinite where none
            is, or the best agreement belongs to one that is not.
        reject_below: The least agreement of a good validation case; minus infinity where there is
            no case to learn from, infinite where none is good.
        cases: Of the validation.
        good: Of these.
    """

    wanted: float
    accept_from: float
    reject_below: float
    cases: int
    good: int

    @property
    def trust(self) -> str:
        """How often the limits are wrong by chance alone, in sentences; empty without cases.

        A new mask is as likely as any validation case of its kind to be the lowest or the highest
        of them (`dvcl.evaluation.conformal`): one good mask in good + 1 is below all good cases,
        and one bad mask in bad + 1 above all bad ones.
        """
        if not self.cases:
            return ""
        bad, enough = self.cases - self.good, cases_needed(LEVEL)
        rejected = f"1 in {self.good + 1} good masks" if self.good else "every good mask"
        parts = [f"{rejected} is rejected by chance alone"]
        if not math.isinf(self.accept_from):
            parts.append(
                f"up to 1 in {bad + 1} bad ones is accepted"
                if bad
                else "no bad case tells how many bad ones are accepted"
            )
        said = ", and ".join(parts)
        if min(self.good, bad) >= enough:
            return f"{said[0].upper()}{said[1:]}."
        so_far = counted(self.cases, "case")
        little = "tells nothing" if self.cases == 1 else "tell little"
        return (
            f"{so_far} {little}: {said}. From {enough} good and {enough} bad cases on either "
            f"happens to at most 1 in {enough + 1}."
        )


def learn_limits(agreement: Sequence[float], dice: Sequence[float], wanted: float) -> Limits:
    """Read the limits off validation cases.

    Args:
        agreement: (n,) in 0..1 of each case, without looking at its reference.
        dice: (n,) in 0..1, its mean Dice against the reference.
        wanted: Dice of a good mask.
    """
    pairs = list(zip(agreement, dice, strict=True))
    good = [agreed for agreed, truth in pairs if truth >= wanted]
    worst = max((agreed for agreed, truth in pairs if truth < wanted), default=-math.inf)
    above = [agreed for agreed in good if agreed > worst]
    lowest = min(good, default=math.inf) if pairs else -math.inf
    return Limits(wanted, min(above, default=math.inf), lowest, len(pairs), len(good))


def judge(agreement: float, doubts: int, limits: Limits) -> Verdict:
    """Accept, look or reject; a mask with doubts is never accepted unseen.

    Args:
        agreement: In 0..1.
        doubts: How many there are about scan and mask.
        limits: Of the validation cases.
    """
    if agreement < limits.reject_below:
        return "reject"
    return "accept" if agreement >= limits.accept_from and not doubts else "look"
