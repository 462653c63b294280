"""Volumes and their geometry: every format in, NIfTI out, with errors that say what is wrong."""

from dvcl.volume.grid import Geometry, Volume
from dvcl.volume.names import VOLUME_SUFFIXES, is_volume, volume_stem
from dvcl.volume.reading import (
    read_geometry,
    read_label,
    read_label_layers,
    read_volume,
    source_files,
)
from dvcl.volume.segment import Segment
from dvcl.volume.segments import read_segments
from dvcl.volume.writing import write_volume

__all__ = [
    "VOLUME_SUFFIXES",
    "Geometry",
    "Segment",
    "Volume",
    "is_volume",
    "read_geometry",
    "read_label",
    "read_label_layers",
    "read_segments",
    "read_volume",
    "source_files",
    "volume_stem",
    "write_volume",
]
