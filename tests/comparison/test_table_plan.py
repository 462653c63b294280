"""The runs behind a table of the paper: named as varied runs are, nothing twice."""

from pathlib import Path

import pytest

from dvcl.commands.compare_options import Options
from dvcl.comparison.plan import plan
from dvcl.comparison.table_plan import changes, plan_table
from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.paper.tables import paper_table, paper_tables
from dvcl.recipe import load_recipe, method_settings, parse_recipe

STUDY = Path("study")
PAPER = parse_recipe({}, "paper", "paper")


def groups(name, recipe=PAPER):
    return [entry.group for entry in plan_table(paper_table(name), {STUDY: recipe}, [0], [5], "x")]


def test_rows_that_change_nothing_are_the_plain_run():
    assert groups("4") == [
        *(f"x, 5 labelled, distance_loss={loss}" for loss in ("nccl", "nnclr", "snclr")),
        "x, 5 labelled",
    ]
    assert groups("8")[-1] == "x, 5 labelled"
    assert groups("3") == [
        "x, 5 labelled, neighbours=5, outsiders=5",
        "x, 5 labelled, neighbours=5, outsiders=10",
        "x, 5 labelled, outsiders=10",
        "x, 5 labelled",
        "x, 5 labelled, neighbours=15",
    ]
    assert groups("2") == [
        "x, 5 labelled, contrast=0.0, entropy_weighting=false",
        "x, 5 labelled, contrast=0.0",
        "x, 5 labelled, entropy_weighting=false",
        "x, 5 labelled",
    ]


def test_a_single_changed_setting_is_the_run_that_vary_makes():
    vary = {"methods.dvcl.distance_loss": ["nnclr", "kl"]}
    varied = plan([STUDY], ["dvcl"], [0], [5], vary, "x")
    tables = [
        entry
        for name in "48"
        for entry in plan_table(paper_table(name), {STUDY: PAPER}, [0], [5], "x")
    ]
    assert set(varied) <= set(tables)


def test_a_row_changes_only_what_it_names_in_a_recipe_with_settings_of_its_own():
    recipe = load_recipe("small-mr", ["methods.dvcl.neighbours=5"])
    assert groups("fig8c", recipe)[0] == "x, 5 labelled", "the recipe has 64 anchors"
    assert "x, 5 labelled, neighbours=10" in groups("3", recipe)
    for table in paper_tables().values():
        for row in table.rows:
            changed = load_recipe("small-mr", ["methods.dvcl.neighbours=5", *changes(row, recipe)])
            defaults = {key: default for key, (_, default) in method_settings(row.method).items()}
            asked = {**defaults, **recipe.methods.get(row.method, {}), **row.settings}
            assert {**defaults, **changed.methods.get(row.method, {})} == asked


def test_table_1_is_all_methods_over_seeds_and_labelled_cases():
    entries = plan_table(paper_table("1"), {STUDY: PAPER}, [0, 1], [5, 10], "x")
    assert len(entries) == len(set(entries)) == 15 * 2 * 2
    methods = [name for name in METHODS if name not in ("supervised_pair", "bcp")]
    assert entries == plan([STUDY], methods, [0, 1], [5, 10], {}, "x")


@pytest.mark.parametrize("others", [{"methods": "dvcl"}, {"vary": ["a=1"]}, {"twin": True}])
def test_a_table_says_itself_what_is_run(others):
    options = Options(**{"methods": None, "seeds": [0], "table": "4", **others})
    with pytest.raises(InputError, match="--table 4: found with --methods, --vary or --twin"):
        options.plan([STUDY], "x")


def test_nothing_and_doubles_are_refused():
    with pytest.raises(InputError, match=r"seeds: \[1, 1\] found"):
        plan_table(paper_table("4"), {STUDY: PAPER}, [1, 1], [None], "x")
