"""One training batch: labelled patches first, unlabelled ones behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Patches of one optimiser step.

    Attributes:
        labelled: (B, 1, D, H, W) float32, normalised intensities.
        labels: (B, D, H, W), class indices of the labelled patches: uint8 as they are drawn, int64,
            which the losses need, from `to` on. An eighth of the bytes goes to the device.
        unlabelled: (U, 1, D, H, W) float32; U is 0 for a purely supervised method.
        case_ids: B + U ids in the same order, for error messages.
        distance_maps: (B, K - 1, D, H, W) float32 in [-1, 1] of classes 1 to K - 1, see
            `sampling.distance_maps`; None unless the method needs them.
        annotated: (B, K) bool, the classes that each patch's label map shows; None where all are
            shown. An organ that is not annotated is background in ``labels``, wherever it lies.
    """

    labelled: Tensor
    labels: Tensor
    unlabelled: Tensor
    case_ids: tuple[str, ...]
    distance_maps: Tensor | None = None
    annotated: Tensor | None = None

    @property
    def images(self) -> Tensor:
        """(B + U, 1, D, H, W): all patches, labelled first."""
        return torch.cat([self.labelled, self.unlabelled])

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``, the labels as int64; the host does not wait if it is pinned."""
        moved = self._each(lambda part: part.to(device, non_blocking=True))
        return replace(moved, labels=moved.labels.long())

    def pinned(self) -> Batch:
        """The batch in memory that a GPU reads by itself."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            change(self.labelled),
            change(self.labels),
            change(self.unlabelled),
            self.case_ids,
            None if self.distance_maps is None else change(self.distance_maps),
            None if self.annotated is None else change(self.annotated),
        )
