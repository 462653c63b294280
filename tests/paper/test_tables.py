"""Definitions of the paper's tables: complete, and made of settings that exist."""

from functools import partial

import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.networks import Network
from dvcl.paper.tables import paper_table, paper_tables
from dvcl.recipe import parse_recipe

TABLES = paper_tables()


def test_all_tables_and_all_parts_of_the_figure_are_there():
    assert list(TABLES) == [*"12345678", *(f"fig8{part}" for part in "abcdef")]
    assert (TABLES["3"].title, TABLES["fig8b"].title) == ("Table 3", "Fig. 8b")
    with pytest.raises(InputError, match=r"--table '9': no such table. Known: 1, 2"):
        paper_table("9")


def test_tables_of_methods_have_every_method_of_the_paper_once_in_order():
    methods = [name for name in METHODS if name not in ("supervised_pair", "bcp")]
    for name in "157":
        assert [row.method for row in TABLES[name].rows] == methods
    assert [row.method for row in TABLES["6"].rows] == methods[1:]
    assert {row.heading for row in TABLES["6"].rows} == {"w/o VCL", "w/ VCL"}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_row_builds(table):
    heads = [(row.heading, *row.labels) for row in table.rows]
    assert len(set(heads)) == len(heads)
    network, random = Network(base_channels=4, levels=3), torch.Generator()
    for row in table.rows:
        assert len(row.labels) == len(table.columns)
        recipe = parse_recipe({"methods": {row.method: row.settings}}, "x", "x")
        assert recipe.methods[row.method] == row.settings
        METHODS[row.method](
            partial(network.build, 3, random=random), 3, **recipe.methods[row.method]
        )
