"""What a run is validated by."""

from types import SimpleNamespace

import numpy as np
import torch

from dvcl.commands import validation
from dvcl.sampling.settings import Sampling


def test_diagnostics_see_scans_as_they_are(monkeypatch):
    seen = []

    class Recorder:
        def __init__(self, labelled, unlabelled, settings, seed):
            seen.append((settings, seed))

        def draw(self):
            return torch.zeros(1)

    monkeypatch.setattr(validation, "Sampler", Recorder)
    monkeypatch.setattr(validation, "case_dice", lambda *_: np.array([0.5, np.nan]))
    drawn = Sampling((8, 8, 8), 3, 2, ("H",), 0.2, rotation_degrees=15, scaling=0.2, noise=0.1)
    run = SimpleNamespace(
        recipe=SimpleNamespace(sampling=drawn),
        split=SimpleNamespace(validation=("a",)),
        labels=SimpleNamespace(organs=("liver", "spleen")),
    )
    store = SimpleNamespace(case=lambda _: SimpleNamespace(annotated=None))
    validate = validation.make_validation(run, store, torch.device("cpu"))
    found = validate(SimpleNamespace(diagnose=lambda batch: {"purity": 0.3}))
    assert seen == [(Sampling((8, 8, 8), 3, 0, (), 1.0), 0)]
    assert found["diagnostics"] == {"purity": 0.3}
    assert found["mean_dice"] == 0.5
