"""Endless streams of labelled and unlabelled patches whose state can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch

from dvcl.sampling.batch import Batch
from dvcl.sampling.cuts import Cut, copy_image, copy_label
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.sampling.flips import draw_flips
from dvcl.sampling.intensity import Intensity, draw_intensity
from dvcl.sampling.patches import Size, Start, centred_start, uniform_start
from dvcl.sampling.settings import INTENSITY, Sampling
from dvcl.sampling.warp import draw_warp
from dvcl.store import StoredCase


class Stream:
    """Cases in a new random order each time all have been seen."""

    def __init__(self, cases: Sequence[StoredCase], random: np.random.Generator) -> None:
        self.cases = list(cases)
        self.random = random
        self.order: list[int] = []

    def next(self) -> StoredCase:
        """The next case."""
        if not self.order:
            self.order = self.random.permutation(len(self.cases)).tolist()
        return self.cases[self.order.pop()]


class Chosen(NamedTuple):
    """A batch that is drawn but not copied yet."""

    patch: Size
    labelled: list[Cut]
    unlabelled: list[Cut]


class Sampler:
    """Draws batches from prepared cases; one generator drives everything.

    Only images are read from unlabelled cases, whatever label files they may have.

    Args:
        labelled: Cases with labels.
        unlabelled: Cases whose images alone are used.
        settings: How patches are drawn.
        seed: Of the generator.
        map_classes: K, when batches shall carry signed distance maps of the labels.
    """

    def __init__(
        self,
        labelled: Sequence[StoredCase],
        unlabelled: Sequence[StoredCase],
        settings: Sampling,
        seed: int,
        map_classes: int | None = None,
    ) -> None:
        self.settings = settings
        self.map_classes = map_classes
        self.random = np.random.default_rng(seed)
        self.labelled = Stream(labelled, self.random)
        self.unlabelled = Stream(unlabelled, self.random)

    def draw(self, progress: float = 1.0, unlabelled: bool = True) -> Batch:
        """The next batch, on the CPU.

        Args:
            progress: Share of the run, by which patches may grow.
            unlabelled: Whether it holds unlabelled patches; without, it has none at all.
        """
        return self.fill(self.choose(progress, unlabelled))

    def choose(self, progress: float = 1.0, unlabelled: bool = True) -> Chosen:
        """All that chance has a part in, for `fill`; the arguments are those of `draw`."""
        patch, others = self.settings.patch_at(progress), self.settings.unlabelled
        return Chosen(
            patch,
            [self._choose(patch, is_labelled=True) for _ in range(self.settings.labelled)],
            [self._choose(patch, is_labelled=False) for _ in range(others if unlabelled else 0)],
        )

    def fill(self, chosen: Chosen) -> Batch:
        """The batch itself; several threads may fill one each."""
        cuts = [*chosen.labelled, *chosen.unlabelled]
        labelled = torch.empty((len(chosen.labelled), 1, *chosen.patch))
        others = torch.empty((len(chosen.unlabelled), 1, *chosen.patch))
        labels = torch.empty((len(chosen.labelled), *chosen.patch), dtype=torch.uint8)
        # The threads only copy, which numpy and torch let them do at once.
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            images = [*labelled[:, 0].numpy(), *others[:, 0].numpy()]
            list(threads.map(copy_image, cuts, images))
            list(threads.map(copy_label, cuts, labels.numpy()))
        maps = None
        if self.map_classes is not None:
            maps = torch.from_numpy(signed_distance_maps(labels.numpy(), self.map_classes))
        shown = _joined([cut.case.annotated for cut in chosen.labelled])
        ids = tuple(cut.case.id for cut in cuts)
        return Batch(labelled, labels, others, ids, maps, shown)

    def _choose(self, patch: Size, is_labelled: bool) -> Cut:
        case = (self.labelled if is_labelled else self.unlabelled).next()
        start = self._start(case, patch, is_labelled)
        flips = draw_flips(self.settings.flips, self.random)
        return Cut(case, start, flips, self._warp(case), self._intensity())

    def _warp(self, case: StoredCase) -> np.ndarray | None:
        degrees, scaling = self.settings.rotation_degrees, self.settings.scaling
        if not degrees and not scaling:
            return None
        return draw_warp(degrees, scaling, case.grid.prepared.spacing_mm, self.random)

    def _intensity(self) -> Intensity | None:
        amounts = {name: getattr(self.settings, name) for name in INTENSITY}
        return draw_intensity(**amounts, random=self.random) if any(amounts.values()) else None

    def _start(self, case: StoredCase, patch: Size, is_labelled: bool) -> Start:
        shape = case.image.shape
        if is_labelled and self.random.random() < self.settings.organ_share:
            voxels = case.organ_voxels
            organs = np.unique(voxels[:, 0])
            if len(organs):
                rows = np.flatnonzero(voxels[:, 0] == self.random.choice(organs))
                return centred_start(shape, patch, voxels[self.random.choice(rows), 1:])
        return uniform_start(shape, patch, self.random)

    def state_dict(self) -> dict[str, Any]:
        """Plain values: the generator's state and what is left of both streams."""
        return {
            "random": self.random.bit_generator.state,
            "labelled": list(self.labelled.order),
            "unlabelled": list(self.unlabelled.order),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.random.bit_generator.state = state["random"]
        self.labelled.order = list(state["labelled"])
        self.unlabelled.order = list(state["unlabelled"])


def _joined(shown: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    """(B, K) from the annotated classes of every patch; None where all show all."""
    partial = [classes for classes in shown if classes is not None]
    if not partial:
        return None
    everything = np.ones_like(partial[0])
    rows = [everything if classes is None else classes for classes in shown]
    return torch.from_numpy(np.stack(rows))
