"""The table of methods and their settings: complete, true to the classes, and on the page."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dvcl.commands.methods import (
    BEGIN,
    COMMAND,
    END,
    describe_method,
    method_rows,
    read_docstring,
    setting_rows,
    trained_networks,
    with_table,
)
from dvcl.errors import InputError
from dvcl.methods import METHODS, Method, baselines
from dvcl.recipe import load_recipe, method_settings

Run = Callable[..., tuple[int, str, str]]

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


class Documented(Method):
    """Does something (One and Two, MICCAI
    2020).

    https://example.org/paper.html. An idea; predicts nothing. Predicts with the first
    of both, or not.

    Deviations.

    Args:
        first: One
            line: and another.
        second: With `code`.

    Attributes:
        third: Not an argument.
    """


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, f"run {COMMAND}"


def test_the_table_of_a_page_is_made_anew_and_the_rest_kept():
    page = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert page.startswith(f"before\n{BEGIN}\n\n| method | paper |")
    assert page.endswith(f"|\n\n{END}\nafter\n")
    assert "old" not in page
    assert with_table(page) == page


@pytest.mark.parametrize("page", ["", BEGIN, f"{END} {BEGIN}"])
def test_a_page_without_both_markers(page):
    with pytest.raises(InputError, match="lacks one of its two markers"):
        with_table(page)


def test_a_docstring_is_taken_apart():
    text = read_docstring(Documented)
    assert text.summary == "Does something (One and Two, MICCAI 2020)."
    assert text.paper == "One and Two, MICCAI 2020"
    assert text.address == "https://example.org/paper.html"
    assert text.predicts_with == "the first of both"
    assert text.meanings == {"first": "One line: and another.", "second": "With `code`."}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_the_table_asks(name):
    kind, text = METHODS[name], read_docstring(METHODS[name])
    assert re.search(r" \d{4}\b", text.paper), "the summary ends with (Authors, Venue Year)."
    assert text.address
    assert text.predicts_with
    assert {"learns_by", "extra_cost"} <= set(vars(kind))


@pytest.mark.parametrize("name", METHODS)
def test_settings_come_from_the_constructor_and_are_all_explained(name):
    rows = setting_rows(name)
    assert [row[0] for row in rows] == list(method_settings(name))
    assert all(all(row) for row in rows)
    assert set(read_docstring(METHODS[name]).meanings) <= {
        "make_network", "classes", *(row[0] for row in rows)
    }  # fmt: skip


def test_types_and_defaults_are_written_as_a_recipe_takes_them():
    rows = {row[0]: row[1:3] for row in setting_rows("dvcl")}
    assert rows["anchors"] == ("int", "256")
    assert rows["alpha"] == ("float", "0.5")
    assert rows["per_network"] == ("true or false", "false")
    assert rows["reduction"] == ("sum or mean", "sum")
    assert rows["distance_temperature"] == ("float or none", "none")
    (cube,) = (row for row in setting_rows("magicnet") if row[0] == "cube")
    assert cube[1:3] == ("[int, int, int]", "[32, 32, 32]")


@pytest.mark.parametrize("name", METHODS)
def test_defaults_can_be_given_back_as_they_are_shown(name):
    changes = [f"methods.{name}.{row[0]}={row[2]}" for row in setting_rows(name)]
    shown = load_recipe("paper", changes).methods.get(name, {})
    for key, (_, default) in method_settings(name).items():
        exact = not isinstance(default, float)
        assert shown[key] == (default if exact else pytest.approx(default, rel=1e-3))


def test_networks_are_counted_without_teachers_and_discriminators():
    counts = {name: trained_networks(name) for name in METHODS}
    assert {name for name, count in counts.items() if count == 2} == {
        "supervised_pair",
        "cps",
        "cld",
        "dhc",
        "dvcl",
    }
    assert set(counts.values()) == {1, 2}


def test_a_method_is_held_against_as_many_networks_as_it_trains():
    for name, kind in METHODS.items():
        assert trained_networks(kind.control) == trained_networks(name), name
        assert not METHODS[kind.control].needs_unlabelled
        assert baselines(name) == list(dict.fromkeys([kind.control, "supervised"]))


def test_the_list_has_every_method_with_all_its_facts(
    run: Run,
) -> None:
    code, out, err = run("methods")
    assert code == 0, err
    text = " ".join(out.split())
    assert [line.split()[0] for line in out.splitlines() if line[1:2].islower()][1:] == [*METHODS]
    for _, paper, learns_by, _, predicts_with, cost in method_rows():
        for fact in (paper, learns_by, predicts_with, cost):
            assert fact in text


def test_one_method_is_shown_with_its_settings(run: Run) -> None:
    code, out, err = run("methods", "magicnet")
    assert code == 0, err
    text = " ".join(out.split())
    assert "Magic-cube partition and recovery (Chen et al., CVPR 2023)." in text
    assert "cube [int, int, int] [32, 32, 32] Voxels of a cube" in text
    assert "--set methods.magicnet.SETTING=VALUE" in text
    code, out, err = run("methods", "supervised")
    assert code == 0, err
    assert "It has no settings." in out


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mean-teacher", "did you mean 'mean_teacher'?"),
        ("xyz", "known: supervised, supervised_pair, "),
    ],
)
def test_an_unknown_method_comes_with_the_nearest_one(name: str, hint: str, run: Run) -> None:
    # Before anything is read: there is no such study.
    for words in (("methods", name), ("train", "gone", "--method", name),
                  ("selftrain", "gone", "--method", name)):  # fmt: skip
        code, out, err = run(*words)
        assert code == 2
        assert out == ""
        assert err.startswith(f"error: method {name!r}: no such method; {hint}")
    with pytest.raises(InputError):
        describe_method(name)
