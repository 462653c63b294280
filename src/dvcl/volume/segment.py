"""What a label map can say about one of its regions: its name, its colour, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Code(NamedTuple):
    """A concept of SNOMED CT, by which other programs know an organ whatever its name.

    Attributes:
        value: Its number.
        meaning: In words.
    """

    value: str
    meaning: str


# What files say of a region that has a name and no code: a general one, which all readers know.
TISSUE = Code("85756007", "Tissue")


@dataclass(frozen=True)
class Segment:
    """One region of a label map.

    Attributes:
        name: As the file has it.
        value: The integer of its voxels; never 0.
        layer: Of the label maps in the file, from 0 on; only regions of several layers overlap.
        colour: To be shown in, "#rrggbb"; files are read without it.
        kind: What it is; `TISSUE` where no code is known.
        side: Left or right, where there are two.
    """

    name: str
    value: int
    layer: int = 0
    colour: str = "#808080"
    kind: Code = TISSUE
    side: Code | None = None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue from 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour.removeprefix("#"))
        return red, green, blue
