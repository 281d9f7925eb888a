"""Recipe files: finding and reading them, where each value stands, and showing what is wrong."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, Final, NoReturn, final

from attrs import define, field, frozen

from dddm.errors import PluginError, RecipeError
from dddm.recipe.locate import Path, Place, line_and_column, locate

_CLEARLY: Final = 0.1
"""A second suggestion that is less similar than the first by more than this is not shown."""


def shipped_folder() -> FilePath:
    """Where the recipes that come with dddm are installed."""
    return FilePath(str(files("dddm_recipes")))


def shipped_names() -> list[str]:
    """Names of the recipes that come with dddm, without `.toml`."""
    return sorted(path.stem for path in shipped_folder().glob("*.toml"))


def shipped_file(name: str) -> FilePath | None:
    """The file of the recipe `digits` or `digits.toml`; None if dddm has none of that name."""
    stem = name.removesuffix(".toml")
    return shipped_folder() / f"{stem}.toml" if stem in shipped_names() else None


@final
@define(kw_only=True, slots=False, unsafe_hash=True)
class Source:
    """A file that was read.

    Attributes:
        label: its name in messages.
        tables: its contents as plain values.
    """

    label: str = field(eq=False)
    file: FilePath
    text: str = field(repr=False, eq=False)
    tables: dict[str, Any] = field(repr=False, eq=False)

    @cached_property
    def _places(self) -> Mapping[Path, Place]:
        return locate(self.text)

    def position(self, path: Path, *, at_value: bool = False) -> tuple[int, int] | None:
        """Line and column, from 1, of a key or its value; None if the file does not have it."""
        place = self._places.get(path)
        if place is None:
            return None
        return line_and_column(self.text, place.value_start if at_value else place.key_start)

    def show(self, message: str, line: int, column: int) -> str:
        """The message after its position, and below it the line with a caret at the column."""
        lines = self.text.split("\n")
        shown = lines[line - 1] if line <= len(lines) else ""
        return (
            f"{self.label}:{line}:{column}: {message}\n"
            f"    {line} | {shown}\n"
            f"    {' ' * len(str(line))} | {' ' * (column - 1)}^"
        )

    @classmethod
    def read(cls, file: FilePath) -> "Source":
        """Read one file.

        Raises:
            RecipeError: if it cannot be read or is not valid TOML, with the position.
        """
        label = _label(file)
        # tomllib treats both kinds of line end alike, so positions do too.
        text = _read_text(file, label).replace("\r\n", "\n")
        source = cls(label=label, file=file, text=text, tables={})
        try:
            source.tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(error, source) from error
        except (ValueError, RecursionError) as error:
            # A number of thousands of digits, or endlessly nested brackets.
            raise RecipeError(
                f"{label} cannot be read: {error}", remedy="no recipe needs such a value"
            ) from error
        return source


def _label(file: FilePath) -> str:
    """Short for what comes with dddm; otherwise relative to the working directory if possible."""
    if file.is_relative_to(shipped_folder()):
        return f"{file.parent.name}/{file.name}"
    cwd = FilePath.cwd()
    return str(file.relative_to(cwd) if file.is_relative_to(cwd) else file)


def _read_text(file: FilePath, label: str) -> str:
    if file.is_dir():
        raise RecipeError(f"{label} is a folder, not a recipe", remedy="name a .toml file")
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{label} is not UTF-8 text: {error.reason}",
            where=f"{label}, byte {error.start}",
            remedy="save it as UTF-8",
        ) from error
    except OSError as error:
        raise RecipeError(
            f"{label} cannot be read: {error.strerror}", remedy="check its path and permissions"
        ) from error


def _syntax_error(error: tomllib.TOMLDecodeError, source: Source) -> RecipeError:
    # Before Python 3.14 the position is in the message alone: "… (at line 3, column 7)".
    message, _, tail = str(error).rpartition(" (at ")
    numbers = [int(word.strip(",)")) for word in tail.split() if word.strip(",)").isdigit()]
    end = line_and_column(source.text, len(source.text))
    line, column = (*numbers, 1)[:2] if numbers else end
    return RecipeError(
        source.show(f"invalid TOML: {message or error}", line, column),
        remedy="put text in quotes, lists in [ ], and each key on its own line",
    )


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
    """One thing that is wrong with a recipe.

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
        source, position = self.origin.source, self.position
        place = self.origin.words if source is None else source.label
        shown = f"{place}: {self.what}" if place else self.what
        if source is not None and position is not None:
            shown = source.show(self.what, *position)
        return shown if self.remedy is None else f"{shown}\n    try: {self.remedy}"


def refuse(problems: Sequence[Problem]) -> NoReturn:
    """Raise one error that shows all problems, in the order of their lines.

    Raises:
        PluginError: if plugins alone are at fault.
        RecipeError: otherwise.
    """
    in_order = sorted(problems, key=lambda problem: problem.position or (0, 0))
    count = "an error" if len(problems) == 1 else f"{len(problems)} errors"
    message = f"the recipe has {count}\n\n" + "\n\n".join(map(str, in_order))
    raise (PluginError if all(one.of_plugin for one in problems) else RecipeError)(message)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or the list of what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2)
    if near:
        ratio = [difflib.SequenceMatcher(None, one, name).ratio() for one in near]
        alike = near[:1] if ratio[-1] < ratio[0] - _CLEARLY else near
        return "did you mean " + " or ".join(alike) + "?"
    return "choose from " + ", ".join(names) if names else "leave it out"
