"""Recipe files: finding one by path or name, reading it, and the position of each key."""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, Final, final

from attrs import define, field

from dddm.errors import RecipeError
from dddm.recipe.locate import Path, Place, line_and_column, locate

_PACKAGE: Final = "dddm_recipes"


def shipped_folder() -> FilePath:
    """Where the recipes that come with dddm are installed."""
    return FilePath(str(files(_PACKAGE)))


def shipped_names() -> list[str]:
    """Names of the recipes that come with dddm, without `.toml`."""
    return sorted(path.stem for path in shipped_folder().glob("*.toml"))


def shipped_file(name: str) -> FilePath | None:
    """The file of the recipe `digits` or `digits.toml`; None if dddm has none of that name."""
    stem = name.removesuffix(".toml")
    return shipped_folder() / f"{stem}.toml" if stem in shipped_names() else None


def presets_folder() -> FilePath:
    """Where the presets of `[evaluate]` are installed."""
    return shipped_folder() / "presets"


def preset_names() -> list[str]:
    """Names of the presets that come with dddm, without `.toml`."""
    return sorted(path.stem for path in presets_folder().glob("*.toml"))


@final
@define(kw_only=True, slots=False)
class Source:
    """A file that was read.

    Attributes:
        label: its name in messages.
        tables: its contents as plain values.
    """

    label: str
    file: FilePath
    text: str = field(repr=False)
    tables: dict[str, Any] = field(repr=False)

    @cached_property
    def _places(self) -> Mapping[Path, Place]:
        return locate(self.text)

    def position(self, path: Path, *, at_value: bool = False) -> tuple[int, int] | None:
        """Line and column, from 1, of a key or its value; None if the file does not have it."""
        place = self._places.get(path)
        if place is None:
            return None
        return line_and_column(self.text, place.value_start if at_value else place.key_start)

    def excerpt(self, line: int, column: int) -> str:
        """The line, numbered, with a caret below the column."""
        lines = self.text.split("\n")
        shown = lines[line - 1] if line <= len(lines) else ""
        return f"    {line} | {shown}\n    {' ' * len(str(line))} | {' ' * (column - 1)}^"

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
    if file.parent in {shipped_folder(), presets_folder()}:
        return f"{file.parent.name}/{file.name}"
    try:
        return str(file.relative_to(FilePath.cwd()))
    except ValueError:
        return str(file)


def _read_text(file: FilePath, label: str) -> str:
    if file.is_dir():
        raise RecipeError(f"{label} is a folder, not a recipe", remedy="name a .toml file")
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise RecipeError(f"there is no recipe {label}", remedy="check its path") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{label} is not UTF-8 text: {error.reason}",
            where=f"{label}, byte {error.start}",
            remedy="save it as UTF-8",
        ) from error
    except OSError as error:
        raise RecipeError(
            f"{label} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error


def _syntax_error(error: tomllib.TOMLDecodeError, source: Source) -> RecipeError:
    # Before Python 3.14 the position is in the message alone: "… (at line 3, column 7)".
    words = str(error)
    message, _, tail = words.rpartition(" (at ")
    numbers = [int(word.strip(",)")) for word in tail.split() if word.strip(",)").isdigit()]
    end = line_and_column(source.text, len(source.text))
    line, column = (*numbers, 1)[:2] if numbers else end
    return RecipeError(
        f"{source.label}:{line}:{column}: invalid TOML: {message or words}\n"
        + source.excerpt(line, column),
        remedy="text needs quotes, lists need [ ], and each key a line of its own",
    )
