"""What a run is validated by: Dice of whole cases on the prepared grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from dvcl.evaluation.overlap import confusion_matrix, dice
from dvcl.inference.sliding_window import predict_volume
from dvcl.methods import Method
from dvcl.sampling.settings import Sampling
from dvcl.sampling.streams import Sampler
from dvcl.store import Store, StoredCase
from dvcl.studies.run import Run


def make_validation(
    run: Run, store: Store, device: torch.device
) -> Callable[[Method], dict[str, Any]] | None:
    """Dice on the validation cases, and the method's own diagnostics; None without such cases."""
    cases = [store.case(case) for case in run.split.validation]
    if not cases:
        return None
    complete = [case for case in cases if case.annotated is None]
    drawn = run.recipe.sampling
    # As the scans are, whatever training does to them.
    settings = Sampling(drawn.patch, drawn.labelled, unlabelled=0, flips=(), organ_share=1.0)

    def validate(method: Method) -> dict[str, Any]:
        scores = [case_dice(method, case, run, device) for case in cases]
        organs = _nan_mean(scores)
        diagnostics: dict[str, float] = {}
        if complete:
            # The same patches every time, so that the diagnostics can be compared along the run.
            batch = Sampler(complete, [], settings, seed=0).draw().to(device)
            diagnostics = method.diagnose(batch)
        return {
            "dice": dict(zip(run.labels.organs, organs, strict=True)),
            "mean_dice": float(np.nanmean(organs)) if not np.isnan(organs).all() else float("nan"),
            "diagnostics": diagnostics,
        }

    return validate


def case_dice(method: Method, case: StoredCase, run: Run, device: torch.device) -> np.ndarray:
    """Dice of every organ (K - 1,) on the prepared grid; NaN where the case does not show it."""
    image = normalised(case)
    predicted = predict_volume(method.predict, image, run.recipe.window, device).argmax(0)
    classes = predicted.to(torch.uint8).cpu().numpy()
    assert case.label is not None
    scores = dice(confusion_matrix(case.label, classes, run.labels.classes))
    if case.annotated is not None:
        scores[~case.annotated] = np.nan
    return scores[1:]


def normalised(case: StoredCase) -> torch.Tensor:
    """The prepared image as float32."""
    return torch.from_numpy(case.image.astype(np.float32)).mul_(case.scale).add_(case.offset)


def _nan_mean(scores: Sequence[np.ndarray]) -> list[float]:
    table = np.array(scores)
    counts = (~np.isnan(table)).sum(0)
    sums = np.nansum(table, axis=0)
    return [float(s / n) if n else float("nan") for s, n in zip(sums, counts, strict=True)]
