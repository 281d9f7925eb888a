"""Presets: files that say how samples are scored, which a recipe or a command can name.

A preset is TOML with `format = 2`, a `summary` and a table `[evaluate]` as in recipes.  It is laid
below the recipe's own `[evaluate]`, and the checked recipe holds the resulting values.
"""

import tomllib
from pathlib import Path as FilePath
from typing import Final

from dddm.recipe.layout import FORMAT
from dddm.recipe.locate import Path
from dddm.recipe.merge import Node, merge
from dddm.recipe.problems import Origin, Problem, nearest
from dddm.recipe.reader import Reader
from dddm.recipe.source import Source, preset_names, presets_folder

_TABLE: Final = "evaluate"
_KEY: Final[Path] = (_TABLE, "preset")
_KEYS: Final = ("format", "summary", _TABLE)


def preset_summaries() -> dict[str, str]:
    """What each preset that comes with dddm measures, by name."""
    return {
        name: str(tomllib.loads(_shipped(name).read_text(encoding="utf-8"))["summary"])
        for name in preset_names()
    }


def lay_preset(reader: Reader) -> bool:
    """Lay the preset that `[evaluate]` names, if any, below what else it says.

    Returns:
        False, with a problem, if there is no such preset or something is wrong with it.

    Raises:
        RecipeError: if the preset's file cannot be read or is not valid TOML.
    """
    own = reader.root.table[_TABLE]
    if "preset" not in own.table:
        return True
    file = _find(reader, own.table["preset"])
    if file is None:
        return False
    source = Source.read(file)
    problems = _problems_of(source)
    reader.problems += problems
    if not problems:
        below = Node.from_file(source).table[_TABLE]
        merged = merge(below, own.without("preset"), (_TABLE,))
        reader.replace(Node({**reader.root.table, _TABLE: merged}, reader.root.origin))
    return not problems


def _find(reader: Reader, named: Node) -> FilePath | None:
    """The file of a preset by its name, or by its path relative to where it is named."""
    name, source = named.plain(), named.origin.source
    if isinstance(name, str):
        if name in preset_names():
            return _shipped(name)
        file = (FilePath.cwd() if source is None else source.file.parent) / name
        if name.endswith(".toml") and file.is_file():
            return file
    reader.add_problem(
        f"there is no preset {name!r}, neither one that comes with dddm nor a file of that name",
        path=_KEY,
        remedy=nearest(str(name), preset_names()) + " (your own preset is named by its .toml file)",
        at_value=True,
    )
    return None


def _shipped(name: str) -> FilePath:
    return presets_folder() / f"{name}.toml"


def _problems_of(source: Source) -> list[Problem]:
    def problem(what: str, *path: str | int, remedy: str) -> Problem:
        return Problem(what=what, remedy=remedy, origin=Origin(source=source, path=path))

    found = [
        problem(f"a preset has no key {key!r}", key, remedy=nearest(key, _KEYS))
        for key in source.tables.keys() - set(_KEYS)
    ]
    if source.tables.get("format") != FORMAT:
        say = f"write format = {FORMAT} as its first line"
        found.append(problem("the preset must say in which format it is written", remedy=say))
    table = source.tables.get(_TABLE)
    if not isinstance(table, dict):
        found.append(problem("a preset has a table [evaluate]", remedy="add [evaluate]"))
    elif "preset" in table:
        say = "write its values instead"
        found.append(problem("a preset cannot name another", *_KEY, remedy=say))
    return found
