"""Everything that is wrong with a recipe, shown at once, each where it stands."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn, final

from attrs import frozen

from dddm.errors import PluginError, RecipeError
from dddm.recipe.locate import Path
from dddm.recipe.source import Source

_CLEARLY: Final = 0.1
"""A second proposal that is so much less like what was written is none."""


@final
@frozen(kw_only=True)
class Origin:
    """Where a value came from: a path in a file, or words on the command line.

    Attributes:
        source: the file; None for the command line.
        path: of the value in that file.
        words: as they were written on the command line.
    """

    source: Source | None = None
    path: Path = ()
    words: str = ""

    @property
    def short(self) -> str:
        """`digits.toml:12`, or the words."""
        if self.source is None:
            return self.words
        place = self.source.places.get(self.path)
        return self.source.label if place is None else f"{self.source.label}:{place.line}"


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
    origin: Origin | None = None
    of_plugin: bool = False
    at_value: bool = False

    def __str__(self) -> str:
        lines = [*self._shown()]
        if self.remedy is not None:
            lines.append(f"    try: {self.remedy}")
        return "\n".join(lines)

    @property
    def line(self) -> int:
        """Where it stands in its file; 0 where it stands in none."""
        if self.origin is None or self.origin.source is None:
            return 0
        place = self.origin.source.places.get(self.origin.path)
        return 0 if place is None else place.line

    def _shown(self) -> Iterable[str]:
        origin = self.origin
        if origin is None or origin.source is None:
            yield f"{origin.words}: {self.what}" if origin is not None else self.what
            return
        place = origin.source.places.get(origin.path)
        if place is None:
            yield f"{origin.source.label}: {self.what}"
            return
        line = place.value_line if self.at_value else place.line
        column = place.value_column if self.at_value else place.column
        text = origin.source.lines[line - 1]
        yield f"{origin.source.label}:{line}:{column}: {self.what}"
        yield f"    {line} | {text}"
        yield f"    {' ' * len(str(line))} | {' ' * (column - 1)}^"


def refuse(problems: Sequence[Problem]) -> NoReturn:
    """Raise one error that shows all problems.

    Raises:
        PluginError: if plugins alone are at fault.
        RecipeError: otherwise.
    """
    in_order = sorted(problems, key=lambda problem: problem.line)
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
    if near and _likeness(name, near[-1]) < _likeness(name, near[0]) - _CLEARLY:
        near = near[:1]
    if near:
        return "did you mean " + " or ".join(near) + "?"
    return "choose among " + ", ".join(names) if names else "leave it out"


def _likeness(name: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known, name).ratio()
