"""Semi-supervised 3-D multi-organ segmentation with distance-aware contrastive learning."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dvcl import losses as losses
    from dvcl.api import LabelMap as LabelMap
    from dvcl.api import Model as Model
    from dvcl.api import evaluate as evaluate
    from dvcl.api import load as load
    from dvcl.errors import InputError as InputError

# Loaded when first asked for: the command line answers `--help` without torch.
PLACES = {
    "load": "dvcl.api",
    "evaluate": "dvcl.api",
    "Model": "dvcl.api",
    "LabelMap": "dvcl.api",
    "InputError": "dvcl.errors",
}

__all__ = ["InputError", "LabelMap", "Model", "evaluate", "load", "losses"]


def __getattr__(name: str) -> Any:
    if name == "losses":
        return importlib.import_module("dvcl.losses")
    if name not in PLACES:
        raise AttributeError(f"module 'dvcl' has no attribute {name!r}")
    return getattr(importlib.import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
