"""Class statistics of CLD and DHC over several steps, against loops."""

import math

import numpy as np
import pytest
import torch

from dvcl.methods.class_statistics import (
    ConfidenceBank,
    DifficultyWeights,
    DistributionWeights,
)

CLASSES = 4


def step_of(seed: int, classes: int = CLASSES, shape=(2, 2, 3, 2)):
    """Probabilities and labels that lack class 3 in every odd step."""
    random = torch.Generator().manual_seed(seed)
    batch, *space = shape
    logits = 2 * torch.randn(batch, classes, *space, generator=random)
    return logits.softmax(1), torch.randint(classes - seed % 2, shape, generator=random)


@pytest.mark.parametrize("window", [1, 2, 3])
def test_confidence_equals_the_loop(window):
    bank, momentum = ConfidenceBank(CLASSES, window, 0.9), 0.9
    expected: list[float | None] = [None] * CLASSES
    for first in range(0, 6, window):
        sums, counts = np.zeros(CLASSES), np.zeros(CLASSES)
        for seed in range(first, first + window):
            p, labels = step_of(seed)
            bank.record(p, labels)
            for b, d, h, w in np.ndindex(*labels.shape):
                c = labels[b, d, h, w].item()
                sums[c] += p[b, c, d, h, w].item()
                counts[c] += 1
        for c in range(CLASSES):
            if counts[c]:
                mean, old = sums[c] / counts[c], expected[c]
                expected[c] = mean if old is None else momentum * old + (1 - momentum) * mean
        assert bank.confidence.tolist() == pytest.approx([e or 0.0 for e in expected], rel=1e-5)


def test_a_class_that_a_window_lacks_keeps_its_confidence():
    bank = ConfidenceBank(CLASSES, 1, 0.5)
    bank.record(*step_of(0))
    before = bank.confidence.clone()
    bank.record(*step_of(1))
    assert bank.confidence[3] == before[3] > 0
    assert (bank.confidence != before).tolist() == [True, True, True, False]


def test_rates_fall_with_confidence_and_everything_is_kept_at_first():
    bank = ConfidenceBank(3, 2, 0.9)
    assert bank.sampling_rates(0.5).tolist() == [1, 1, 1]
    bank.confidence.copy_(torch.tensor([0.99, 0.2, 0.6]))
    expected = [math.sqrt(0.01 / 0.8), 1, math.sqrt(0.5)]
    assert bank.sampling_rates(0.5).tolist() == pytest.approx(expected, rel=1e-4)
    assert bank.sampling_rates(0.0).tolist() == [1, 1, 1]
    bank.confidence.fill_(1)
    assert bank.sampling_rates(0.5).isfinite().all()


def log_ratios(labels: torch.Tensor) -> np.ndarray:
    counts = np.array([(labels == c).sum().item() for c in range(CLASSES)])
    rarity = np.log((counts.max() + 1e-8) / (counts + 1e-8))
    return CLASSES * rarity / rarity.max()


def test_distribution_equals_the_loop():
    weights, (_, labels) = DistributionWeights(CLASSES, 0.8, 0.0), step_of(0)
    expected = log_ratios(labels)
    for seed in range(1, 6):
        _, pseudo = step_of(seed)
        expected = 0.8 * expected + 0.2 * log_ratios(pseudo)
        # Labels matter in the first step only.
        found = weights.update(labels if seed == 1 else pseudo, pseudo)
        assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    kept = found.clone()
    weights.update(labels, pseudo)
    assert torch.equal(found, kept)


def test_difficulty_equals_the_loop():
    weights, steps = DifficultyWeights(CLASSES, 10, 0.2), 10
    former = [1e-8] * CLASSES
    learning, unlearning, hardness = [0.0] * CLASSES, [0.0] * CLASSES, [1.0] * CLASSES
    keep = (steps - 1) / steps
    for seed in range(6):
        p, labels = step_of(seed)
        predicted = p.argmax(1)
        if seed == 4:  # class 3 is in neither
            predicted, labels = predicted.clamp_max(2), labels.clamp_max(2)
        found = weights.update(predicted, labels)
        raw = []
        for c in range(CLASSES):
            mine, true = (predicted == c).numpy(), (labels == c).numpy()
            dice = (2 * (mine & true).sum() + 1e-8) / (mine.sum() + true.sum() + 2e-8)
            change, growth = dice - former[c], math.log(dice / former[c])
            learning[c] = keep * learning[c] + (1 - keep) * max(change, 0) * growth
            unlearning[c] = keep * unlearning[c] + (1 - keep) * min(change, 0) * growth
            hardness[c] = keep * hardness[c] + (1 - keep) * (1 - dice)
            former[c] = dice
            raw.append(((unlearning[c] + 1e-8) / (learning[c] + 1e-8)) ** 0.2 * hardness[c])
        expected = [CLASSES * r / max(raw) for r in raw]
        assert found.tolist() == pytest.approx(expected, rel=1e-3)


def test_a_perfect_prediction_stays_finite():
    weights, (_, labels) = DifficultyWeights(CLASSES, 50, 0.2), step_of(0)
    for _ in range(200):
        found = weights.update(labels, labels)
    assert found.isfinite().all()
    assert found.max() == CLASSES
