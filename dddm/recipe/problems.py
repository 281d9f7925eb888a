"""Everything that is wrong with a recipe, shown at once, each with its position."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn, final

from attrs import frozen

from dddm.errors import PluginError, RecipeError
from dddm.recipe.locate import Path
from dddm.recipe.source import Source

_CLEARLY: Final = 0.1
"""A second suggestion that is less similar than the first by more than this is not shown."""


@final
@frozen(kw_only=True)
class Origin:
    """Where a value came from: a path in a file, or words on the command line.

    Attributes:
        source: the file; None for the command line.
        path: of the value in that file.
        words: the option as written on the command line.
    """

    source: Source | None = None
    path: Path = ()
    words: str = ""

    @property
    def short(self) -> str:
        """`digits.toml:12`, or the words."""
        if self.source is None:
            return self.words
        position = self.source.position(self.path)
        return self.source.label if position is None else f"{self.source.label}:{position[0]}"


@final
@frozen(kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        of_plugin: whether a plugin is missing or broken, rather than the recipe.
        at_value: whether the value is wrong rather than the key.
    """

    what: str
    remedy: str | None = None
    origin: Origin
    of_plugin: bool = False
    at_value: bool = False

    @property
    def position(self) -> tuple[int, int] | None:
        """Line and column in its file; None for the command line or a file as a whole."""
        source = self.origin.source
        if source is None:
            return None
        return source.position(self.origin.path, at_value=self.at_value)

    def __str__(self) -> str:
        remedy = "" if self.remedy is None else f"\n    try: {self.remedy}"
        source, position = self.origin.source, self.position
        if source is None:
            place = f"{self.origin.words}: " if self.origin.words else ""
            return f"{place}{self.what}{remedy}"
        if position is None:
            return f"{source.label}: {self.what}{remedy}"
        line, column = position
        excerpt = source.excerpt(line, column)
        return f"{source.label}:{line}:{column}: {self.what}\n{excerpt}{remedy}"


def refuse(problems: Sequence[Problem]) -> NoReturn:
    """Raise one error that shows all problems, in the order of their lines.

    Raises:
        PluginError: if plugins alone are at fault.
        RecipeError: otherwise.
    """
    in_order = sorted(problems, key=lambda problem: problem.position or (0, 0))
    shown = "\n\n".join(str(problem) for problem in in_order)
    count = "an error" if len(problems) == 1 else f"{len(problems)} errors"
    message = f"the recipe has {count}\n\n{shown}"
    if all(problem.of_plugin for problem in problems):
        raise PluginError(message)
    raise RecipeError(message)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or the list of what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2)
    if near and _similarity(name, near[-1]) < _similarity(name, near[0]) - _CLEARLY:
        near = near[:1]
    if near:
        return "did you mean " + " or ".join(near) + "?"
    return "choose from " + ", ".join(names) if names else "leave it out"


def _similarity(name: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known, name).ratio()
