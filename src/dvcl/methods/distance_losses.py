"""Eq. 17 of DVCL, or another loss in its place (its Tables 4 and 8), by name."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from dvcl.errors import InputError
from dvcl.methods.contrast import DistanceContrast
from dvcl.methods.parts import check_choice
from dvcl.methods.view_contrast import ViewContrast

DistanceLoss = Literal[
    "loglikelihood", "infonce", "simclr", "simclr_union", "kl", "nccl", "nnclr", "snclr"
]
VIEW_LOSSES = ("nnclr", "snclr")
WITHOUT_OUTSIDERS = ("nccl", *VIEW_LOSSES)
TEMPERATURES = {"nccl": 1.0, "nnclr": 0.1, "snclr": 0.2}


def check_distance_loss(
    loss: str,
    neighbours: int,
    outsiders: int,
    queries: int,
    queue_size: int,
    per_network: bool,
) -> None:
    """Refuse an unknown loss, and a queue with which its sets could never be filled."""
    check_choice("distance_loss", loss, get_args(DistanceLoss))
    others = queries * (1 if per_network else 2) - 1
    # Two views search past voxels only; else the other queries of the step are candidates too.
    least = max({"nnclr": 1, "snclr": neighbours}.get(loss, neighbours + outsiders - others), 0)
    if not queue_size >= least:
        raise InputError(
            f"method.queue_size: {queue_size} found, at least {least} expected, so that a voxel "
            f"can have {neighbours} neighbours and {outsiders} outsiders. Take fewer of these, a "
            "longer queue, or more queries."
        )


def check_candidates(
    loss: str, high_quality: bool, foreign_outsiders: bool, trusted_candidates: bool
) -> None:
    """Refuse switches of the candidates that could have no effect, or none that is defined."""
    if foreign_outsiders and loss in WITHOUT_OUTSIDERS:
        raise InputError(
            f"method.foreign_outsiders: true found, false expected, as {loss!r} has no outsiders."
        )
    if trusted_candidates and not (high_quality and loss == "loglikelihood"):
        raise InputError(
            "method.trusted_candidates: true found, false expected, as they are the features that "
            "high_quality keeps, for the distance_loss 'loglikelihood'."
        )


def build_distance_losses(
    loss: DistanceLoss,
    temperature: float,
    classes: int,
    dimension: int,
    neighbours: int,
    outsiders: int,
    queue_size: int,
    reduction: Literal["sum", "mean"],
    per_network: bool,
    foreign_outsiders: bool,
) -> nn.ModuleList:
    """One module, or one for each network; each takes features and probabilities of voxels."""
    if loss == "nnclr" or loss == "snclr":
        views = ViewContrast(loss, dimension, neighbours, queue_size, temperature, per_network)
        return nn.ModuleList([views])
    return nn.ModuleList(
        DistanceContrast(
            classes,
            dimension,
            neighbours,
            outsiders,
            queue_size,
            reduction,
            loss,
            temperature,
            foreign_outsiders,
        )
        for _ in range(2 if per_network else 1)
    )
