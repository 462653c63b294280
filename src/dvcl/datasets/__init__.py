"""Raw data: what exists and where. Each entry turns the folders of one layout into a `Dataset`."""

from dvcl.datasets.folders import load_folders
from dvcl.datasets.nnunet import load_nnunet
from dvcl.datasets.phantom import make_phantom

DATASETS = {
    "folders": load_folders,
    "nnunet": load_nnunet,
    "phantom": make_phantom,
}

__all__ = ["DATASETS", "load_folders", "load_nnunet", "make_phantom"]
