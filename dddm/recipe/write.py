"""A recipe as text again."""

import tomli_w

from dddm.recipe.model import Recipe


def to_toml(recipe: Recipe) -> str:
    """TOML with every default filled in; reading it back gives an equal recipe."""
    return tomli_w.dumps(recipe.tables)
