"""From class probabilities on the prepared grid to a label map on the scan's own."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import Invertd, InvertibleTransform, MapTransform


class HighestClassd(MapTransform):
    """Bring back one class after another, and keep the number of the highest.

    So there are never the maps of all classes at the size of the scan. Of equal probabilities the
    lower class wins.

    Args:
        key: Of the probabilities (K, x, y, z).
        image: Key of the scan that they belong to.
        preprocessing: That the scan went through.
    """

    def __init__(self, key: str, image: str, preprocessing: InvertibleTransform) -> None:
        super().__init__([key])
        self.bring_back = Invertd(
            [key], preprocessing, orig_keys=[image], nearest_interp=False, device="cpu"
        )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A label map (1, x, y, z) of class indices in the place of the probabilities."""
        made = dict(data)
        (key,) = self.keys
        probabilities = made[key].cpu()
        highest = self._one(made, key, probabilities, 0)
        classes = torch.zeros_like(highest)
        for index in range(1, len(probabilities)):
            one = self._one(made, key, probabilities, index)
            higher = one > highest
            classes[higher] = index
            highest[higher] = one[higher]
        made[key] = classes
        return made

    def _one(self, data: dict[Hashable, Any], key: Hashable, maps: Any, index: int) -> Any:
        return self.bring_back({**data, key: maps[index : index + 1]})[key]
