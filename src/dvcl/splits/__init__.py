"""Which case is for what: settings, a division made from a seed, and the split that it gives."""

from dvcl.splits.division import Division
from dvcl.splits.making import make_split
from dvcl.splits.split import Split, check_cases, read_split, scored_part, write_split

__all__ = [
    "Division",
    "Split",
    "check_cases",
    "make_split",
    "read_split",
    "scored_part",
    "write_split",
]
