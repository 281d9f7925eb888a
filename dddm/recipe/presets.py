"""Presets: files that say how samples are scored, so that a recipe or a command can name them.

A preset is TOML with `format = 2`, a `summary` and a table `[evaluate]` as recipes have it.  It is
laid beneath what the recipe's own `[evaluate]` says, and the checked recipe holds the values alone.
Imports no torch.
"""

import tomllib
from pathlib import Path as FilePath
from typing import Any, Final

from dddm.recipe.locate import Path
from dddm.recipe.options import Reading
from dddm.recipe.problems import Origin, Problem, nearest
from dddm.recipe.shipped import preset_names, presets_folder
from dddm.recipe.source import Source

_TABLE: Final = "evaluate"
_KEY: Final[Path] = (_TABLE, "preset")
_FORMAT: Final = 2
_KEYS: Final = ("format", "summary", _TABLE)


def preset_summaries() -> dict[str, str]:
    """What each preset that comes with dddm measures, by name."""
    return {
        name: str(tomllib.loads(_shipped(name).read_text(encoding="utf-8"))["summary"])
        for name in preset_names()
    }


def lay_preset(reading: Reading, table: dict[str, Any]) -> bool:
    """Fill in what the preset says that `[evaluate]` names, if it names one.

    Args:
        reading: of a recipe.
        table: its `[evaluate]`, in which the values take the place of the name.

    Returns:
        whether there is such a preset; where not, there is a problem.

    Raises:
        RecipeError: if the preset's file cannot be read or is no TOML.
    """
    if "preset" not in table:
        return True
    file = _find(reading, table.pop("preset"))
    if file is None:
        return False
    source = Source.read(file)
    problems = _wrong_with(source)
    reading.problems += problems
    if not problems:
        reading.merged.lay_under(source, path=(_TABLE,))
    return not problems


def _find(reading: Reading, name: object) -> FilePath | None:
    """The file of a preset by its name, or by its path relative to where it is named."""
    if isinstance(name, str):
        if name in preset_names():
            return _shipped(name)
        origin = reading.merged.origin(_KEY)
        source = None if origin is None else origin.source
        file = (FilePath.cwd() if source is None else source.file.parent) / name
        if name.endswith(".toml") and file.is_file():
            return file
    reading.complain(
        f"there is no preset {name!r}, neither one that comes with dddm nor such a file",
        path=_KEY,
        remedy=nearest(str(name), preset_names()) + " (one of your own is named by its .toml file)",
        at_value=True,
    )
    return None


def _shipped(name: str) -> FilePath:
    return presets_folder() / f"{name}.toml"


def _wrong_with(source: Source) -> list[Problem]:
    def problem(what: str, *path: str | int, remedy: str) -> Problem:
        return Problem(what=what, remedy=remedy, origin=Origin(source=source, path=path))

    found = [
        problem(f"a preset has no key {key!r}", key, remedy=nearest(key, _KEYS))
        for key in source.tables.keys() - set(_KEYS)
    ]
    if source.tables.get("format") != _FORMAT:
        say = f"write format = {_FORMAT} as its first line"
        found.append(problem("the preset must say in which format it is written", remedy=say))
    table = source.tables.get(_TABLE)
    if not isinstance(table, dict):
        found.append(problem("a preset has a table [evaluate]", remedy="add [evaluate]"))
    elif "preset" in table:
        say = "write its values instead"
        found.append(problem("a preset cannot name another", *_KEY, remedy=say))
    return found
