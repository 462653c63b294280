"""A recipe: all settings of a study, read from TOML, every key checked."""

from dvcl.recipe.files import load_recipe, recipe_folder
from dvcl.recipe.settings import SECTIONS, Recipe, method_settings, parse_recipe

__all__ = [
    "SECTIONS",
    "Recipe",
    "load_recipe",
    "method_settings",
    "parse_recipe",
    "recipe_folder",
]
