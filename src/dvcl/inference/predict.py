"""One scan in, one label map on the same voxels out, and how sure of it the networks are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dvcl.datasets.dataset import LabelTable
from dvcl.inference.ensemble import Beliefs, Ensemble
from dvcl.inference.restore import restore_classes, restore_map
from dvcl.inference.sliding_window import Window, predict_volume
from dvcl.inference.uncertainty import Sure, restore_uncertainty, sureness
from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.prepare import Preprocessing, prepare_image
from dvcl.volume import Volume


@dataclass(frozen=True)
class Segmentation:
    """A scan's label map and what belongs to it, in the place of the scan.

    Attributes:
        mask: Label integers (D, H, W).
        sure: Of every organ, how sure the ensemble is.
        maps: "uncertainty", and "disagreement" of several members, float32 in 0..1; where they were
            asked for.
        members: Label integers by each member, where members were kept apart.
    """

    mask: Volume
    sure: Sure
    maps: Mapping[str, Volume]
    members: tuple[Volume, ...]


@torch.inference_mode()
def segment(
    image: Volume,
    ensemble: Ensemble,
    preprocessing: Preprocessing,
    window: Window,
    labels: LabelTable,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    maps: bool = False,
    look: Callable[[Tensor], None] | None = None,
) -> Segmentation:
    """Prepare, predict window by window, and bring the result back to the scan's own grid.

    Args:
        image: As read from the file, any orientation and spacing.
        ensemble: Of one member or several.
        preprocessing: The one of the training.
        window: Size and stride of the sliding window.
        labels: Gives the result its integers.
        device: Where to predict.
        progress: Called with windows done and windows in all.
        maps: Make maps of the uncertainty.
        look: Called with the mean probabilities (K, d, h, w) on the prepared grid.
    """
    prepared, grid = prepare_image(image, preprocessing)
    tensor = torch.from_numpy(prepared)
    channels = predict_volume(ensemble, tensor, window, device, progress, ensemble.background)
    beliefs = ensemble.read(channels)
    if look:
        look(beliefs.probabilities)

    def mask_of(probabilities: Tensor) -> Volume:
        return replace(image, array=labels.decode(restore_classes(probabilities, grid)))

    made = _maps(beliefs, grid) if maps else {}
    return Segmentation(
        mask_of(beliefs.probabilities),
        sureness(beliefs.probabilities, labels),
        {name: replace(image, array=values) for name, values in made.items()},
        tuple(map(mask_of, beliefs.members)),
    )


def _maps(beliefs: Beliefs, grid: Grid) -> dict[str, np.ndarray]:
    maps = {"uncertainty": restore_uncertainty(beliefs.probabilities, grid)}
    if beliefs.disagreement is not None:
        maps["disagreement"] = restore_map(
            beliefs.disagreement[None], grid, lambda planes: planes[0]
        )
    return maps
