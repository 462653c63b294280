"""A recipe file with reasons is the recipe without them."""

import tomllib

import pytest

from dvcl.errors import InputError
from dvcl.planning.choice import Choice, by, to_recipe, to_toml, toml_value
from dvcl.recipe import load_recipe

CHOICES = {
    "preprocessing.spacing_mm": Choice((5.0, 1.25, 1.25), "Because. " * 30),
    "preprocessing.window": Choice(None, "MR"),
    "sampling.flips": Choice((), "None is right."),
    "window.skip_air": Choice(True, "Air."),
    "methods.dvcl.reduction": Choice("mean", ""),
    "methods.dvcl.queries": Choice(64, "Second of its section."),
}


def test_the_file_gives_the_recipe_back(tmp_path):
    text = to_toml(CHOICES, 'A "quoted" study, ü.', "Line one.\nLine two.")
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    recipe = load_recipe(str(path))
    assert recipe == to_recipe(CHOICES, "plan", 'A "quoted" study, ü.')
    assert recipe.preprocessing.window is None
    assert recipe.sampling.flips == ()
    assert recipe.methods == {"dvcl": {"reduction": "mean", "queries": 64}}
    assert text.startswith("# Line one.\n# Line two.\nabout")
    assert all(len(line) <= 96 for line in text.splitlines())
    assert "# MR\nwindow = " in text


@pytest.mark.parametrize("value", [True, 3, 2.5, 1e-7, "none", [1.0, 2.0], ["H", "W"], []])
def test_values_survive_toml(value):
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


def test_choices_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="unknown setting"):
        to_recipe({"sampling.pach": Choice(3, "")}, "plan")


def test_lengths_are_short():
    assert by((2.5, 3.9062, 160.0)) == "2.5 x 3.91 x 160"
