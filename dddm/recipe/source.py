"""One file of a recipe: its text, its tables, and where each key of it stands."""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, final

from attrs import define, field

from dddm.errors import RecipeError
from dddm.recipe.locate import Path, Place, locate
from dddm.recipe.shipped import presets_folder, shipped_folder


@final
@define(kw_only=True, slots=False)
class Source:
    """A file that was read.

    Attributes:
        label: how messages name it.
        file: where it is.
        tables: its contents as plain values.
    """

    label: str
    file: FilePath
    text: str = field(repr=False)
    tables: dict[str, Any] = field(repr=False)

    @cached_property
    def places(self) -> Mapping[Path, Place]:
        """Where each key stands; found when it is first asked for."""
        return locate(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """The text, line by line."""
        return self.text.split("\n")

    @classmethod
    def read(cls, file: FilePath) -> "Source":
        """Read one file.

        Raises:
            RecipeError: if it cannot be read or is no TOML, with the place.
        """
        label = label_of(file)
        text = _read_text(file, label)
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(error, text=text, label=label) from error
        except (ValueError, RecursionError) as error:
            # A number of thousands of digits, or brackets within brackets without end.
            raise RecipeError(
                f"{label} cannot be read: {error}", remedy="no recipe needs such a value"
            ) from error
        # tomllib reads the two ends of a line alike; so do the places.
        return cls(label=label, file=file, text=text.replace("\r\n", "\n"), tables=tables)


def label_of(file: FilePath) -> str:
    """Relative to where the command was given, if it is below; short for what comes with dddm."""
    if file.parent in {shipped_folder(), presets_folder()}:
        return f"{file.parent.name}/{file.name}"
    try:
        return str(file.relative_to(FilePath.cwd()))
    except ValueError:
        return str(file)


def _read_text(file: FilePath, label: str) -> str:
    if file.is_dir():
        raise RecipeError(
            f"{label} is a folder, not a recipe", remedy="name a file that ends in .toml"
        )
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise RecipeError(f"there is no recipe {label}", remedy="check its path") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{label} is not text in UTF-8: {error.reason}",
            where=f"{label}, byte {error.start}",
            remedy="save it as UTF-8",
        ) from error
    except OSError as error:
        raise RecipeError(
            f"{label} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error


def _syntax_error(error: tomllib.TOMLDecodeError, *, text: str, label: str) -> RecipeError:
    words = str(error)
    message, _, tail = words.rpartition(" (at ")
    numbers = [int(word.strip(",)")) for word in tail.split() if word.strip(",)").isdigit()]
    lines = text.split("\n")
    line, column = (*numbers, 1)[:2] if numbers else (len(lines), len(lines[-1]) + 1)
    shown = lines[line - 1].rstrip("\r") if line <= len(lines) else ""
    return RecipeError(
        f"{label}:{line}:{column}: this is no TOML: {message or words}\n"
        f"    {line} | {shown}\n    {' ' * len(str(line))} | {' ' * (column - 1)}^",
        remedy="text stands in quotes, lists in [ ], each key on a line of its own",
    )
