"""Who teaches what: pseudo-labels, reliability and Eq. 5 against float64 loops."""

import math

import numpy as np
import pytest
import torch

from dvcl.losses.entropy import Selection
from dvcl.methods.cross_teaching import CrossTeaching

SHAPE = (2, 3, 4, 2, 3)  # U, K, D, H, W


def maps() -> tuple[torch.Tensor, ...]:
    """Log-probabilities of both networks, which agree on about half of the voxels."""
    random = torch.Generator().manual_seed(0)
    draws = torch.randn((2, *SHAPE), generator=random, dtype=torch.float64)
    return tuple((3 * (draws[0] + draws[number])).log_softmax(1) for number in (0, 1))


def nothing_run(network, images):
    pytest.fail("nothing is asked")


def select_by_loop(logs, alpha: float, agreement: bool) -> list[dict[tuple, tuple]]:
    """{voxel: (pseudo-label, entropy, reliable)} of each network."""
    found = []
    for log in logs:
        p = log.exp().numpy()
        entropy = {
            (u, *v): -sum(p[u, c][v] * math.log(p[u, c][v]) for c in range(SHAPE[1]))
            for u in range(SHAPE[0])
            for v in np.ndindex(SHAPE[2:])
        }
        mean = sum(entropy.values()) / len(entropy)
        spread = math.sqrt(sum((e - mean) ** 2 for e in entropy.values()) / len(entropy))
        best = {v: max(range(SHAPE[1]), key=lambda c: p[v[0], c][v[1:]]) for v in entropy}
        found.append({v: (best[v], e, e <= mean + alpha * spread) for v, e in entropy.items()})
    if agreement:
        a, b = found
        agreed = {v for v in a if a[v][0] == b[v][0]}
        found = [{v: (y, e, r and v in agreed) for v, (y, e, r) in own.items()} for own in found]
    return found


def teaching_of_three(agreement, weighting=True, maximum_weight=1.0):
    return CrossTeaching(
        (), 3, alpha=0.2, weighting=weighting, maximum_weight=maximum_weight, weight_log_base=2.0,
        agreement=agreement, decay=0.0, jitter=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("weighting", [True, False])
@pytest.mark.parametrize("agreement", [True, False])
def test_selection_and_loss_equal_the_loop(agreement, weighting):
    logs = maps()
    teaching = teaching_of_three(agreement, weighting, maximum_weight=0.8)
    selections = teaching.select(nothing_run, (), torch.empty(0), logs)
    expected = select_by_loop(logs, 0.2, agreement)
    for selection, own in zip(selections, expected, strict=True):
        for voxel, (label, entropy, reliable) in own.items():
            assert selection.pseudo_labels[voxel] == label
            assert selection.entropy[voxel].item() == pytest.approx(entropy, rel=1e-9)
            assert selection.reliable[voxel] == reliable
    total = 0.0
    for student, teacher in ((0, 1), (1, 0)):
        for (u, *v), (label, entropy, reliable) in expected[teacher].items():
            weight = 0.8 if reliable else 0.8 * math.exp(-entropy / math.log2(3))
            total -= (weight if weighting else 1) * logs[student][(u, label, *v)].item()
    voxels = len(expected[0])
    assert teaching.loss(logs, selections).item() == pytest.approx(total / voxels, rel=1e-9)


def test_disagreement_leaves_labels_and_entropies_and_what_was_unreliable():
    plain, strict = (
        teaching_of_three(agreement).select(nothing_run, (), torch.empty(0), maps())
        for agreement in (False, True)
    )
    a, b = plain
    differ = a.pseudo_labels != b.pseudo_labels
    assert 0.2 < differ.double().mean() < 0.8
    for before, after in zip(plain, strict, strict=True):
        expected = Selection(before.pseudo_labels, before.entropy, before.reliable & ~differ)
        assert all(map(torch.equal, after, expected))
        assert (before.reliable & differ).any()
