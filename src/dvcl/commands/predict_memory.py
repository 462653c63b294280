"""Whether a scan fits into the memory that is free."""

from __future__ import annotations

import math
from pathlib import Path

from dvcl.errors import InputError
from dvcl.inference.ensemble import Ensemble
from dvcl.inference.memory import peak_bytes
from dvcl.resources import available_ram, in_words
from dvcl.studies.members import Members
from dvcl.volume import read_geometry

MAP_BYTES = 4  # of a voxel in a map of the uncertainty


def refuse_too_large(path: Path, members: Members, ensemble: Ensemble, maps: bool) -> None:
    """Refuse a scan that takes more memory than is free, before it takes it.

    Raises:
        InputError: Says how much it takes and what can be done.
    """
    grid = members.first.recipe.preprocessing.grid(read_geometry(path))
    beside = MAP_BYTES * maps * (1 + ensemble.measures_disagreement)
    beside += len(ensemble.members) * ensemble.apart
    needed = peak_bytes(grid, members.window, ensemble.maps_held, beside)
    free = available_ram()
    if needed > free:
        raise InputError(
            f"{path}: segmenting its {math.prod(grid.source.shape) / 1e6:.0f} million voxels takes "
            f"about {in_words(needed)} of memory, {in_words(free)} are free. Close other programs, "
            "cut the scan to the body's part that the run knows, or take a machine with more."
        )
