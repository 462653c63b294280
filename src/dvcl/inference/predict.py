"""One scan in, one label map on the same voxels out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from dvcl.datasets.dataset import LabelTable
from dvcl.inference.restore import restore_classes
from dvcl.inference.sliding_window import Predict, Window, predict_volume
from dvcl.preprocessing.prepare import Preprocessing, prepare_image
from dvcl.volume import Volume


@torch.inference_mode()
def segment(
    image: Volume,
    predict: Predict,
    preprocessing: Preprocessing,
    window: Window,
    labels: LabelTable,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> Volume:
    """Prepare, predict window by window, and bring the result back to the scan's own grid.

    Args:
        image: As read from the file, any orientation and spacing.
        predict: (B, 1, d, h, w) to class probabilities (B, K, d, h, w).
        preprocessing: The one of the training.
        window: Size and stride of the sliding window.
        labels: Gives the result its integers.
        device: Where to predict.
        progress: Called with windows done and windows in all.

    Returns:
        Label integers (D, H, W), in the place of ``image``.
    """
    prepared, grid = prepare_image(image, preprocessing)
    tensor = torch.from_numpy(prepared)
    probabilities = predict_volume(predict, tensor, window, device, progress)
    return replace(image, array=labels.decode(restore_classes(probabilities, grid)))
