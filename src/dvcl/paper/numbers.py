"""The numbers that the paper prints in its tables, as ``numbers.csv`` holds them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from functools import cache
from importlib import resources

from dvcl.evaluation.summary import Spread

MEANS = ("Mean Dice", "Mean Jaccard")

# {"10 %": {(heading, row): {organ or mean: number}}}; dice of organs and means as fractions.
Printed = Mapping[str, Mapping[tuple[str, str], Mapping[str, Spread]]]


@cache
def printed(table: str) -> Printed:
    """One table's numbers by labelled share and row; nothing for Fig. 8, which prints none.

    Organs have the names of the data sets here. Their Dice has no standard deviation; that of the
    means is over the paper's three runs.
    """
    found: dict[str, dict[tuple[str, str], dict[str, Spread]]] = {}
    with resources.files("dvcl.paper").joinpath("numbers.csv").open(encoding="utf-8") as file:
        for cell in csv.DictReader(file):
            if cell["table"] != table:
                continue
            rows = found.setdefault(cell["labelled"], {})
            row = rows.setdefault((cell["heading"], cell["row"]), {})
            sd = float(cell["sd"]) / 100 if cell["sd"] else math.nan
            name = f"Mean {cell['score'].title()}" if cell["organ"] == "Mean" else cell["organ"]
            row[name] = Spread(float(cell["mean"]) / 100, sd, 1, 0)
    return found


def printed_organs(table: str) -> list[str]:
    """The organs of a table, in the order of its columns."""
    rows = (row for share in printed(table).values() for row in share.values())
    return [organ for organ in dict.fromkeys(name for row in rows for name in row)
            if organ not in MEANS]  # fmt: skip


def nearest_share(table: str, labelled: float) -> str | None:
    """The labelled share of a table, as "10 %", that is nearest to a fraction."""
    shares = {share: float(share.rstrip(" %")) / 100 for share in printed(table)}
    return min(shares, key=lambda share: abs(shares[share] - labelled), default=None)
