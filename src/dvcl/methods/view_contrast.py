"""NNCLR and SNCLR in the place of DVCL's distance-aware loss, with their queue."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.losses.neighbours import find_neighbours
from dvcl.losses.view_contrast import nearest_neighbour_contrast, soft_neighbour_contrast
from dvcl.methods.parts import ClassQueues


class Predictor(nn.Sequential):
    """The prediction MLP of both papers: linear, batch normalisation, ReLU, linear.

    It serves the training loss alone and always sees a batch of voxels, so that running statistics
    would never be used.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(
            nn.Linear(dimension, 2 * dimension),
            nn.BatchNorm1d(2 * dimension, track_running_stats=False),
            nn.ReLU(),
            nn.Linear(2 * dimension, dimension),
        )


class ViewContrast(nn.Module):
    """The two networks' features of a voxel are its views (DVCL, Table 4).

    As in the official codes, neighbours come from the queue of past voxels alone, searched before
    the current ones enter: a neighbour in the same step would be positive and negative at once.
    Other voxels of the same organ are false negatives, which both papers accept. Deviations: the
    queue takes both views; SNCLR's weights, softmax(z . n) without a temperature, are constants,
    since a network could otherwise choose its easiest target; SNCLR's keys come from the other
    network without gradient, where the original has a momentum encoder.

    Attributes:
        candidates: Past voxels among which the last step searched, of the shorter queue.

    Args:
        loss: "nnclr" or "snclr".
        dimension: d.
        neighbours: Of SNCLR; NNCLR takes the nearest one.
        queue_size: Past features kept, of both networks together or each.
        temperature: tau.
        per_network: Whether each network searches its own past features only.
    """

    def __init__(
        self,
        loss: Literal["nnclr", "snclr"],
        dimension: int,
        neighbours: int,
        queue_size: int,
        temperature: float,
        per_network: bool,
    ) -> None:
        super().__init__()
        self.loss, self.temperature = loss, temperature
        self.neighbours = neighbours if loss == "snclr" else 1
        self.candidates = 0
        self.predictor_a, self.predictor_b = Predictor(dimension), Predictor(dimension)
        self.queues = ClassQueues(2 if per_network else 1, queue_size, dimension)

    def forward(self, features: Tensor, probabilities: Tensor) -> Tensor:
        """Both directions, averaged (NNCLR) or added (SNCLR); 0 while the queue is too short.

        Args:
            features: (2 Q, d), with gradient: of network A, then of the same voxels in network B.
            probabilities: Not used.
        """
        views = features.float().tensor_split(2)
        keys = [F.normalize(view.detach(), dim=1) for view in views]
        neighbours = self._search_and_store(keys)
        # Batch normalisation needs two voxels, and so does a contrast.
        if len(keys[0]) < 2 or not neighbours:
            return features.sum() * 0
        predictions = [
            F.normalize(predictor(view), dim=1)
            for predictor, view in zip((self.predictor_a, self.predictor_b), views, strict=True)
        ]
        directions = []
        for view, other in ((0, 1), (1, 0)):
            predicted, positives = predictions[view], neighbours[other]
            if self.loss == "nnclr":
                nearest = positives.squeeze(1)
                loss = nearest_neighbour_contrast(nearest, predicted, self.temperature)
            else:
                weights = torch.einsum("qd,qkd->qk", keys[view], positives).softmax(1)
                loss = soft_neighbour_contrast(
                    predicted, keys[other], positives, weights, self.temperature
                )
            directions.append(loss)
        both = torch.stack(directions)
        return both.mean() if self.loss == "nnclr" else both.sum()

    def _search_and_store(self, keys: list[Tensor]) -> list[Tensor]:
        """Each view's neighbours (Q, K, d) in its queue, none when one is too short; then push."""
        shared_or_own = list(self.queues)
        queues = (shared_or_own[0], shared_or_own[-1])
        stored = [queue.content() for queue in queues]
        found = []
        self.candidates = min(len(support) for support in stored)
        if self.candidates >= self.neighbours:
            for key, support in zip(keys, stored, strict=True):
                near = find_neighbours(key, support, self.neighbours, 0).neighbours
                found.append(support[near])
        for key, queue in zip(keys, queues, strict=True):
            queue.push(key)
        return found
