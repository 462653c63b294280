"""Prepared cases on disk: content-addressed, memory-mapped, and resumable after an interruption.

``root/<key of the settings>/store.json`` lists the cases; ``<case id>/`` beside it holds
``image.npy`` (int16), ``label.npy`` (uint8), ``organ_voxels.npy`` and ``case.json``. A case folder
appears whole or not at all. ``root/shares/`` is for cases that other machines prepare.
"""

from dvcl.store.building import Workers, build_store
from dvcl.store.reading import Store, StoredCase, open_store, store_folder

__all__ = ["Store", "StoredCase", "Workers", "build_store", "open_store", "store_folder"]
