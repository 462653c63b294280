"""Contrast of a voxel's similarities to its neighbours and outsiders (DVCL, Table 8).

All take similarities that are already divided by the temperature, neighbours (Q, K) and outsiders
(Q, K'), and return (Q,) losses, each a mean over the neighbours of one query.
"""

from __future__ import annotations

import torch
from torch import Tensor


def info_nce(neighbours: Tensor, outsiders: Tensor) -> Tensor:
    """-log(e^s_n / (e^s_n + sum_k e^s_k)): every neighbour alone against all outsiders.

    Oord et al., 2018, https://arxiv.org/abs/1807.03748. DVCL's appendix sums e^s_n over the
    outsiders, whose similarities are meant.
    """
    against = outsiders.logsumexp(1, keepdim=True)
    return (torch.logaddexp(neighbours, against) - neighbours).mean(1)


def sim_clr(neighbours: Tensor, outsiders: Tensor) -> Tensor:
    """-log(e^s_n / sum_n' e^s_n') + log(e^s_k / sum_k' e^s_k'), as DVCL's appendix prints it.

    Each denominator holds one set only, so that adding a number to all similarities of a set
    changes nothing: the loss evens out the neighbours and spreads the outsiders, and neither
    attracts nor repels. `nt_xent` is the form that does.
    """
    return _unevenness(neighbours) - _unevenness(outsiders)


def nt_xent(neighbours: Tensor, outsiders: Tensor) -> Tensor:
    """-log(e^s_n / (sum_n' e^s_n' + sum_k e^s_k)): the denominator of SimCLR, over both sets.

    Chen et al., ICML 2020, https://arxiv.org/abs/2002.05709. A second term for the outsiders would
    cancel the denominator, so there is none.
    """
    return torch.cat([neighbours, outsiders], dim=1).logsumexp(1) - neighbours.mean(1)


def _unevenness(similarities: Tensor) -> Tensor:
    """Log-sum-exp minus mean: the logarithm of the count when all are equal, else more."""
    return similarities.logsumexp(1) - similarities.mean(1)
