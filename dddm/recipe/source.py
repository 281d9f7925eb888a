"""Recipe files: finding and reading them, where each value stands, and showing what is wrong."""

import difflib
import os
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, Final, NoReturn, final

from attrs import define, field, frozen

from dddm.errors import DataError, PluginError, RecipeError
from dddm.recipe.locate import Path, Place, line_and_column, locate
from dddm.support.files import is_folder, read_file

_CLEARLY: Final = 0.1
"""A second suggestion that is less similar than the first by more than this is not shown."""

_LARGEST_BYTES: Final = 1 << 18
_DEEPEST: Final = 32
_SHOWN_PROBLEMS: Final = 20
_SHOWN_COLUMNS: Final = 100
_SHOWN_LETTERS: Final = 500

FOLDERS_VARIABLE: Final = "DDDM_RECIPES"
"""Environment variable: further folders whose recipes may be extended, separated as in PATH."""


def shipped_folder() -> FilePath:
    """Where the recipes that come with dddm are installed."""
    return FilePath(str(files("dddm_recipes")))


def shipped_names() -> list[str]:
    """Names of the recipes that come with dddm, without `.toml`."""
    return sorted(path.stem for path in shipped_folder().glob("*.toml"))


def refuse_outside(file: FilePath, *, root: FilePath, origin: "Origin") -> None:
    """Refuse a file that a recipe names and that is neither in its folder nor in one allowed.

    Args:
        file: that exists.
        root: the file of the recipe that the user named.
        origin: where the recipe names it.

    Raises:
        RecipeError: if it is elsewhere, links followed.
    """
    allowed = [str(root.parent), str(shipped_folder())]
    allowed += filter(None, os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep))
    real = FilePath(os.path.realpath(file))
    if not any(real.is_relative_to(os.path.realpath(folder)) for folder in allowed):
        what = f"{_label(file)} is outside of the folder of {_label(root)}"
        remedy = (
            f"copy it there, or allow its folder: set the environment variable {FOLDERS_VARIABLE} "
            f"to {real.parent}"
        )
        refuse([Problem(what=what, remedy=remedy, origin=origin, at_value=True)])


def shipped_file(name: str) -> FilePath | None:
    """The file of the recipe `digits` or `digits.toml`; None if dddm has none of that name."""
    stem = name.removesuffix(".toml")
    return shipped_folder() / f"{stem}.toml" if stem in shipped_names() else None


_LONG_KEY: Final = re.compile(
    # A part of a key begins once and is never given back, so that this takes linear time.
    rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_DEEPEST + 1}}}""",
    re.ASCII,
)
_LIKE_A_RECIPE: Final = re.compile(r"^[ \t]*(?:format|extends)[ \t]*=", re.MULTILINE)


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
        offset = place.value_start if at_value else place.key_start
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(at + 1 for at, letter in enumerate(self.text) if letter == "\n")]

    def show(self, message: str, line: int, column: int) -> str:
        """The message after its position, and below it the line with a caret at the column."""
        starts = [*self._line_starts, len(self.text) + 1]
        shown = self.text[starts[line - 1] : starts[line] - 1] if line < len(starts) else ""
        first = max(0, column - _SHOWN_COLUMNS // 2) if len(shown) > _SHOWN_COLUMNS else 0
        return (
            f"{self.label}:{line}:{column}: {message}\n"
            f"    {line} | {shown[first : first + _SHOWN_COLUMNS]}\n"
            f"    {' ' * len(str(line))} | {' ' * (column - 1 - first)}^"
        )

    @classmethod
    def read(cls, file: FilePath, *, named_by: "Origin | None" = None) -> "Source":
        """Read one file.

        Args:
            file: of a recipe or preset.
            named_by: where another recipe names it.  That recipe may come from anyone, and the
                file may be any: nothing of it is shown unless it looks like a recipe.

        Raises:
            RecipeError: if it cannot be read or is not valid TOML, with the position.
        """
        label = _label(file)
        # tomllib treats both kinds of line end alike, so positions do too.
        text = _read_text(file, label).replace("\r\n", "\n")
        if named_by is not None and not _LIKE_A_RECIPE.search(text):
            what = f"{label} does not look like a recipe: it does not say in which format it is"
            remedy = "name the .toml file of a recipe, whose first line is format = 2"
            refuse([Problem(what=what, remedy=remedy, origin=named_by, at_value=True)])
        source = cls(label=label, file=file, text=text, tables={})
        # tomllib takes a time that grows with the square of a key's parts: 28 s for 20,000.
        if _LONG_KEY.search(text):
            raise _too_deep(label)
        try:
            source.tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(error, source) from error
        except (ValueError, RecursionError) as error:
            # A number of thousands of digits, or endlessly nested brackets.
            raise RecipeError(
                f"{label} cannot be read: {error}", remedy="no recipe needs such a value"
            ) from error
        if not depth_is_sane(source.tables):
            raise _too_deep(label)
        return source


def _too_deep(label: str) -> RecipeError:
    return RecipeError(
        f"{label} cannot be read: its tables are nested more than {_DEEPEST} deep",
        remedy="no recipe needs so many",
    )


def depth_is_sane(value: Any) -> bool:
    """Whether tables and arrays are not nested so deeply that reading them exhausts the stack."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return not level


def _label(file: FilePath) -> str:
    """Short for what comes with dddm; otherwise relative to the working directory if possible."""
    if file.is_relative_to(shipped_folder()):
        return f"{file.parent.name}/{file.name}"
    cwd = FilePath.cwd()
    return str(file.relative_to(cwd) if file.is_relative_to(cwd) else file)


def _read_text(file: FilePath, label: str) -> str:
    if is_folder(file):
        raise RecipeError(f"{label} is a folder, not a recipe", remedy="name a .toml file")
    try:
        # With the mark that some editors put before UTF-8 text, or without.
        return read_file(file, limit=_LARGEST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{label} is not UTF-8 text: {error.reason}",
            where=f"{label}, byte {error.start}",
            remedy="save it as UTF-8",
        ) from error
    except OSError as error:
        raise RecipeError(
            f"{label} cannot be read: {error.strerror}",
            remedy="name the .toml file of a recipe, which you may read",
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
        of_data: whether images or weights are missing or wrong, rather than the recipe.
        at_value: whether the value is wrong rather than the key.
    """

    what: str
    remedy: str | None = None
    origin: Origin
    of_plugin: bool = False
    of_data: bool = False
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
        what = shortened(self.what)
        shown = f"{shortened(place)}: {what}" if place else what
        if source is not None and position is not None:
            shown = source.show(what, *position)
        return shown if self.remedy is None else f"{shown}\n    try: {self.remedy}"


def shortened(text: str) -> str:
    """The text, or its beginning and end if a name or value in it is far longer than any needs."""
    if len(text) <= _SHOWN_LETTERS:
        return text
    return f"{text[: _SHOWN_LETTERS // 2]} … {text[-_SHOWN_LETTERS // 2 :]}"


def refuse(problems: Sequence[Problem]) -> NoReturn:
    """Raise one error that shows all problems, in the order of their lines.

    Raises:
        PluginError: if plugins alone are at fault.
        DataError: if images or weights alone are.
        RecipeError: otherwise.
    """
    in_order = sorted(problems, key=lambda problem: problem.position or (0, 0))
    count = "an error" if len(problems) == 1 else f"{len(problems):,} errors"
    shown = [*map(str, in_order[:_SHOWN_PROBLEMS])]
    if count_more := len(in_order) - len(shown):
        shown.append(f"and {count_more:,} more")
    message = f"the recipe has {count}\n\n" + "\n\n".join(shown)
    if all(one.of_plugin for one in problems):
        raise PluginError(message)
    if all(one.of_data for one in problems):
        raise DataError(message)
    raise RecipeError(message)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or the list of what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2)
    if near:
        ratio = [difflib.SequenceMatcher(None, one, name).ratio() for one in near]
        alike = near[:1] if ratio[-1] < ratio[0] - _CLEARLY else near
        return "did you mean " + " or ".join(alike) + "?"
    return "choose from " + ", ".join(names) if names else "leave it out"
