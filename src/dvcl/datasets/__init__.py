"""Raw data: what exists and where. Each entry turns the folders of one layout into a `Dataset`."""

from collections.abc import Callable
from pathlib import Path

from dvcl.datasets.amos22 import load_amos22
from dvcl.datasets.btcv import load_btcv
from dvcl.datasets.dataset import Dataset, Modality
from dvcl.datasets.flare22 import load_flare22
from dvcl.datasets.folders import load_folders
from dvcl.datasets.mmwhs import load_mmwhs
from dvcl.datasets.nnunet import load_nnunet

# One folder that says itself what each case is for. The modality is the one to take where a
# layout holds several, None the layout's own choice.
LAYOUTS: dict[str, Callable[[Path, Modality | None], Dataset]] = {
    "nnunet": load_nnunet,
    "flare22": load_flare22,
    "amos22": load_amos22,
    "btcv": load_btcv,
    "mmwhs": load_mmwhs,
}

__all__ = [
    "LAYOUTS",
    "load_amos22",
    "load_btcv",
    "load_flare22",
    "load_folders",
    "load_mmwhs",
    "load_nnunet",
]
