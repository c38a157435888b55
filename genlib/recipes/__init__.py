"""Recipes: a model, its data and its training under one name; `python -m genlib` runs them."""

import difflib

from genlib.recipes.card import as_text
from genlib.recipes.laptop import LAPTOP
from genlib.recipes.papers import PAPERS
from genlib.recipes.recipe import Recipe
from genlib.recipes.running import evaluate, load, sample, train

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in [*LAPTOP, *PAPERS]}


def find(name: str) -> Recipe:
    """The recipe of this name. Raises: ValueError if there is none."""
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"name: there is no recipe {name!r}; {hint}There are {', '.join(RECIPES)}")
    return RECIPES[name]


__all__ = ["RECIPES", "Recipe", "as_text", "evaluate", "find", "load", "sample", "train"]
