"""Voxel features in the plane (t-SNE); needs the extra ``figures``."""

from __future__ import annotations

from typing import Any

import numpy as np

from dvcl.errors import InputError

# The usual number of neighbours that a feature keeps in sight; of few features a third.
PERPLEXITY = 30.0


def embed(features: np.ndarray, seed: int) -> np.ndarray:
    """Place features so that near ones stay near: t-SNE (van der Maaten and Hinton, JMLR 2008).

    https://jmlr.org/papers/v9/vandermaaten08a.html. It starts from the first two principal
    components. Distances between clusters, their sizes and the axes mean nothing.

    Args:
        features: (N, d).
        seed: Of the optimisation.

    Returns:
        (N, 2).

    Raises:
        InputError: When scikit-learn is not installed.
    """
    model = tsne()(perplexity=perplexity(len(features)), init="pca", random_state=seed)
    return model.fit_transform(features.astype(np.float32))


def perplexity(count: int) -> float:
    """Of t-SNE, for so many features."""
    return min(PERPLEXITY, (count - 1) / 3)


def tsne() -> type[Any]:
    """The class of scikit-learn.

    Raises:
        InputError: When it is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise InputError(
            "scikit-learn is not installed, which draws features in the plane: run "
            "`pip install scikit-learn`."
        ) from error
    return TSNE
