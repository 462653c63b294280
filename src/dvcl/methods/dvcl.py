"""DVCL: distance-aware voxel-wise contrastive learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from dvcl.losses.entropy import Selection
from dvcl.losses.ramps import delayed, sigmoid_ramp
from dvcl.losses.voxel_sampling import sample_per_class
from dvcl.methods.contrast import HighQualityContrast
from dvcl.methods.cross_teaching import CrossTeaching
from dvcl.methods.diagnostics import diagnose_networks
from dvcl.methods.distance_losses import (
    TEMPERATURES,
    VIEW_LOSSES,
    DistanceLoss,
    build_distance_losses,
    check_candidates,
    check_distance_loss,
)
from dvcl.methods.method import MakeNetwork, Method, Representation, Terms
from dvcl.methods.network_pair import NetworkPair, Start, Use
from dvcl.methods.parts import check_at_least, check_at_most, check_finite, check_start
from dvcl.methods.voxel_sets import Maps, among_all, contrast_codes, draw_unreliable, gather_pooled
from dvcl.networks.heads import FeatureHead, VoxelTap, gather_voxels
from dvcl.sampling.batch import Batch


class DVCL(Method):
    """Keep your friends close, and your enemies farther (ICLR 2025 submission eBgIzHaegm).

    https://openreview.net/forum?id=eBgIzHaegm. Two networks cross-supervise with entropy-weighted
    pseudo-labels (Eq. 1-5); reliable voxels are drawn to class centres (HqC, Eq. 6-11); unreliable
    ones agree with their nearest and disagree with their farthest neighbours in feature space
    (Eq. 12-17). Total: Eq. 18-20. Predicts with the mean of both softmax maps.

    Where the paper leaves room (docs/methods.md gives the reasons): one threshold per network and
    step over unlabelled voxels; weights and pseudo-labels carry no gradient; losses are means over
    anchors, classes and queries; features exist only at sampled voxels; centres are means of a
    first-in-first-out bank shared by both networks; the constant of Eq. 16 is left out.

    ``distance_loss`` puts another loss in the place of Eq. 17, on the same voxels and queue (Tables
    4 and 8; `losses.feature_contrast`, `.neighbour_divergence` and `.view_contrast` give formulas
    and deviations). The paper does not name their host: it is all of DVCL by default, and plain
    cross pseudo supervision without ``entropy_weighting`` and ``high_quality``. NCCL is our
    reading of an abstract. NNCLR and SNCLR take the two networks' features of a voxel as its views,
    where either network is unreliable.

    Not the paper's and off by default (sources in docs/methods.md): ``agreement``, ``decay``,
    ``jitter``, ``foreign_outsiders``, ``trusted_candidates`` and ``boundary``.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        consistency: lambda_u, reached at the end of a sigmoid ramp.
        contrast: lambda_c; 0 switches both contrastive losses off.
        distance: beta, the distance-aware loss relative to HqC; 0 switches it off.
        distance_loss: "loglikelihood", Eq. 17; or the paper's comparisons "infonce", "simclr" (as
            printed, without attraction), "simclr_union" (its usual form), "kl", "nccl", "nnclr" and
            "snclr".
        distance_temperature: Of these comparisons; none takes ``temperature`` for the first three,
            1 for "nccl", 0.1 for "nnclr", 0.2 for "snclr".
        high_quality: Whether HqC takes part.
        entropy_weighting: Eq. 4; off gives every pseudo-label the weight 1.
        alpha: Eq. 3; larger calls more voxels reliable.
        maximum_weight: W_max of Eq. 4.
        weight_log_base: Base of the logarithm of the class count in Eq. 4.
        agreement: Call voxels unreliable where the networks' pseudo-labels differ, too.
        decay: Of moving averages of the networks, which then make the pseudo-labels; 0 has none.
        jitter: Of strong views of the unlabelled patches, see `views.strong`: networks then learn
            from these, by pseudo-labels of the patches as they are; 0 has none.
        anchors: M, per class and step.
        negatives: N, per anchor.
        temperature: tau of Eq. 11.
        bank_size: Features kept per class for its centre.
        detach_negatives: Take the gradient from Eq. 11's negatives.
        remember_negatives: Use earlier negatives of a class that has none in this batch; literally
            such a class is skipped.
        neighbours: K.
        outsiders: K'.
        foreign_outsiders: Take outsiders only from candidates of other pseudo-classes than the
            query's.
        trusted_candidates: Voxels of HqC's banks, certain of their class, are candidates too.
        queries: Unreliable voxels per network and step.
        balance_queries: Draw queries equally over pseudo-labels instead of uniformly.
        boundary: Draw queries at most so many voxels from another pseudo-label; 0 draws anywhere.
        queue_size: Past queries kept as candidates; 0 uses the current ones only.
        per_network: Separate candidates for the two networks instead of pooled ones.
        reduction: "sum" over neighbours and outsiders as printed, or their "mean".
        contrast_start: Progress at which both contrastive losses begin.
        distance_start: Progress at which the distance-aware loss begins.
        distance_ramp: Ramp the distance-aware loss up instead of starting at full strength.
        feature_dimension: d of the feature head.
        second_start: Initialisation of network B: "xavier" (S4M), or "kaiming" as network A.
        predict_with: "mean" of both networks, or "A" or "B" alone.
    """

    learns_by = (
        "weighted pseudo-labels of the other network; class centres; neighbours and outsiders"
    )
    control = "supervised_pair"
    extra_cost = "the second network; feature heads and neighbour search at sampled voxels"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        consistency: float = 0.1,
        contrast: float = 0.1,
        distance: float = 0.3,
        distance_loss: DistanceLoss = "loglikelihood",
        distance_temperature: float | None = None,
        high_quality: bool = True,
        entropy_weighting: bool = True,
        alpha: float = 0.5,
        maximum_weight: float = 1.0,
        weight_log_base: float = 2.0,
        agreement: bool = False,
        decay: float = 0.0,
        jitter: float = 0.0,
        anchors: int = 256,
        negatives: int = 50,
        temperature: float = 1.0,
        bank_size: int = 2048,
        detach_negatives: bool = False,
        remember_negatives: bool = False,
        neighbours: int = 10,
        outsiders: int = 15,
        foreign_outsiders: bool = False,
        trusted_candidates: bool = False,
        queries: int = 1024,
        balance_queries: bool = False,
        boundary: int = 0,
        queue_size: int = 16384,
        per_network: bool = False,
        reduction: Literal["sum", "mean"] = "sum",
        contrast_start: float = 0.0,
        distance_start: float = 0.0,
        distance_ramp: bool = False,
        feature_dimension: int = 256,
        second_start: Start = "xavier",
        predict_with: Use = "mean",
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, consistency=consistency, contrast=contrast, distance=distance,
                       maximum_weight=maximum_weight, decay=decay, jitter=jitter,
                       boundary=boundary)  # fmt: skip
        check_at_most(1, decay=decay, jitter=jitter)
        check_at_least(1, anchors=anchors, negatives=negatives, bank_size=bank_size,
                       neighbours=neighbours, outsiders=outsiders, queries=queries,
                       feature_dimension=feature_dimension)  # fmt: skip
        check_distance_loss(distance_loss, neighbours, outsiders, queries, queue_size, per_network)
        check_candidates(distance_loss, high_quality, foreign_outsiders, trusted_candidates)
        if distance_temperature is None:
            distance_temperature = TEMPERATURES.get(distance_loss, temperature)
        check_at_least(1e-3, temperature=temperature, distance_temperature=distance_temperature)
        check_at_least(1.1, weight_log_base=weight_log_base)
        check_finite(alpha=alpha)
        check_start(contrast_start=contrast_start, distance_start=distance_start)
        self.consistency, self.contrast, self.distance = consistency, contrast, distance
        self.high_quality, self.anchors, self.queries = high_quality, anchors, queries
        self.balance_over = classes if balance_queries else None
        self.contrast_start, self.distance_start = contrast_start, distance_start
        self.distance_ramp, self.boundary = distance_ramp, boundary
        self.neighbours, self.outsiders = neighbours, outsiders
        self.foreign_outsiders, self.trusted_candidates = foreign_outsiders, trusted_candidates
        self.networks = NetworkPair(make_network, second_start, predict_with)
        self.teaching = CrossTeaching(
            self.networks, classes, alpha=alpha, weighting=entropy_weighting,
            maximum_weight=maximum_weight, weight_log_base=weight_log_base,
            agreement=agreement, decay=decay, jitter=jitter,
        )  # fmt: skip
        self.heads = nn.ModuleList(
            FeatureHead(self.networks.feature_channels, feature_dimension) for _ in self.networks
        )
        self.hqc = HighQualityContrast(
            classes, feature_dimension, negatives, temperature, bank_size,
            detach_negatives, remember_negatives,
        )  # fmt: skip
        self.views = distance_loss in VIEW_LOSSES
        self.distance_contrast = build_distance_losses(
            distance_loss, distance_temperature, classes, feature_dimension, neighbours, outsiders,
            queue_size, reduction, per_network, foreign_outsiders,
        )  # fmt: skip

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Algorithm 1 of the paper for one batch."""
        images = torch.cat([batch.labelled, self.teaching.view(batch.unlabelled, self.random)])
        # Logits are not needed again; two full maps would wait here for the end of the step.
        predictions = (self.run(network, images) for network in self.networks)
        pairs = ((logits.log_softmax(1), VoxelTap(features)) for logits, features in predictions)
        logs, taps = zip(*pairs, strict=True)
        # One split, not two slices: its gradient is one map, not two that are added.
        parts = (log.split([len(batch.labelled), len(batch.unlabelled)]) for log in logs)
        labelled, unlabelled = zip(*parts, strict=True)
        selections = self.teaching.select(self.run, self.networks, batch.unlabelled, unlabelled)
        # Gradients come in the opposite order; those of the contrast would wait longest in memory.
        contrast: Terms = {}
        if self.contrast > 0 and progress >= self.contrast_start:
            contrast = self._contrast(
                labelled, unlabelled, taps, batch.labels, selections, progress
            )
        taught = self.teaching.loss(unlabelled, selections)
        supervised_a, supervised_b = (self.supervised_loss(log, batch.labels) for log in labelled)
        return {
            "supervised": supervised_a + supervised_b,
            "ecps": self.consistency * sigmoid_ramp(progress) * taught,
            **contrast,
        }

    def _contrast(
        self,
        labelled: Maps,
        unlabelled: Maps,
        taps: Sequence[VoxelTap],
        labels: Tensor,
        selections: list[Selection],
        progress: float,
    ) -> Terms:
        """Eq. 18, with every voxel that any part needs gathered at once."""
        anchors, wrong = (
            sample_per_class(codes, self.classes, self.anchors, self.random)
            for codes in contrast_codes(labelled, labels, selections)
        )
        queries = draw_unreliable(
            selections, self.queries, self.random, self.balance_over, self.views, self.boundary
        )
        if len(self.distance_contrast) == 1:
            queries = [torch.cat(queries)]
        places = [among_all(voxels, labels, selections) for voxels in queries]
        size = labels.numel() + selections[0].entropy.numel()
        everyone = torch.cat([anchors.voxels, wrong.voxels, *places])
        gathered = gather_pooled(everyone, size, [tap.rows for tap in taps], self.heads)
        sizes = [len(voxels) for voxels in (anchors.voxels, wrong.voxels, *places)]
        anchor_features, wrong_features, *query_features = gathered.split(sizes)
        terms: Terms = {}
        self.worked_on = {}
        if self.high_quality:
            terms["hqc"] = self.contrast * self.hqc(
                anchor_features.split(anchors.sizes), wrong_features.split(wrong.sizes), self.random
            )
            self.worked_on["hqc classes"] = self.hqc.contributing
        strength = self._distance_strength(progress)
        if strength > 0:
            terms["distance"] = strength * self._distance(unlabelled, queries, query_features)
            self.worked_on["distance queries"] = sum(map(len, queries))
            self.worked_on["distance candidates"] = min(
                cast("int", part.candidates) for part in self.distance_contrast
            )
        return terms

    def _distance_strength(self, progress: float) -> float:
        if progress < self.distance_start:
            return 0.0
        ramp = sigmoid_ramp(delayed(progress, self.distance_start)) if self.distance_ramp else 1.0
        return self.contrast * self.distance * ramp

    def _distance(self, logs: Maps, queries: list[Tensor], features: Sequence[Tensor]) -> Tensor:
        """Eq. 17 over the drawn queries."""
        size = logs[0].numel() // self.classes
        rows_at = [partial(gather_voxels, log) for log in logs]
        more = [self.hqc.trusted()] if self.trusted_candidates else []
        losses = [
            contrast(rows, gather_pooled(voxels, size, rows_at, [Tensor.exp, Tensor.exp]), *more)
            for contrast, voxels, rows in zip(
                self.distance_contrast, queries, features, strict=True
            )
        ]
        return torch.stack(losses).mean()

    def after_step(self) -> None:
        """Moving averages follow, where they make the pseudo-labels."""
        self.teaching.follow(self.networks)

    def predict(self, images: Tensor) -> Tensor:
        """Mean of both softmax maps, unless one network is asked for."""
        return self.networks.predict(self.run, images)

    def represent(self, images: Tensor) -> Representation:
        """Network A and its feature head."""
        return self.represent_with(self.networks[0], images, self.heads[0])

    @torch.no_grad()
    def diagnose(self, batch: Batch) -> dict[str, float]:
        """Reliable share, pseudo-label accuracy, purity of neighbours and outsiders."""
        pairs = zip(self.networks, self.heads, strict=True)
        seen = [self.represent_with(network, batch.labelled, head) for network, head in pairs]
        logs = tuple(one.log_probabilities for one in seen)
        selections = self.teaching.select(self.run, self.networks, batch.labelled, logs)
        return diagnose_networks(
            [one.features for one in seen], selections, batch.labels, self.neighbours,
            self.outsiders, self.foreign_outsiders,
        )  # fmt: skip
