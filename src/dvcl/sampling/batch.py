"""One training batch: labelled patches first, unlabelled ones behind."""

from __future__ import annotations

from dataclasses import dataclass

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
        """The batch on ``device``, the labels as int64."""
        return Batch(
            self.labelled.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True).long(),
            self.unlabelled.to(device, non_blocking=True),
            self.case_ids,
            None if (maps := self.distance_maps) is None else maps.to(device, non_blocking=True),
            None if (shown := self.annotated) is None else shown.to(device, non_blocking=True),
        )
