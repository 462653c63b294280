"""t-SNE keeps what lies together together, the same at every call."""

import sys

import numpy as np
import pytest

from dvcl.errors import InputError
from dvcl.evaluation.embedding import embed, perplexity


def test_clusters_stay_apart_and_the_seed_decides() -> None:
    pytest.importorskip("sklearn")
    classes = np.repeat([0, 1], 20)
    noise = np.random.default_rng(0).normal(0, 0.05, (40, 6))
    features = (np.eye(6)[classes] + noise).astype(np.float32)
    places = embed(features, seed=0)
    assert places.shape == (40, 2)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (classes[distances.argmin(1)] == classes).all()
    assert np.array_equal(embed(features, seed=0), places)


def test_few_features_have_few_neighbours() -> None:
    assert perplexity(1000) == 30
    assert perplexity(31) == 10


def test_without_scikit_learn_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(InputError, match="pip install scikit-learn"):
        embed(np.zeros((5, 2), np.float32), seed=0)
