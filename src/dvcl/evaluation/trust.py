"""Which masks without a reference to take: limits of the agreement, learned where there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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
