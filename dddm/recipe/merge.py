"""Merges the files of a recipe and `--set` into one tree of values, each with its origin.

Tables merge deeply.  A table whose `use` changes is replaced, and so is `[evaluate]` when its
`preset` changes; arrays are replaced whole.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final, final

from attrs import evolve, frozen

from dddm.errors import RecipeError
from dddm.recipe.layout import DEFAULTS, DURATIONS
from dddm.recipe.locate import Path
from dddm.recipe.source import (
    Origin,
    Problem,
    Source,
    depth_is_sane,
    nearest,
    refuse,
    refuse_outside,
    shipped_file,
    shipped_names,
    shortened,
)
from dddm.support.files import is_file, path_exists

_FEATURES: Final = ("evaluate", "features")
"""Here a name alone is short for a table with `use`."""

_EXCLUSIVE: Final[Mapping[Path, tuple[str, ...]]] = {("train",): DURATIONS}
"""Keys of a table that replace each other."""

_LONGEST_CHAIN: Final = 32
_DEEPEST_KEY: Final = 16
_NUMBER: Final = re.compile(r"\d+")


@final
@frozen(eq=False)
class Node:
    """A value with its origin.

    Attributes:
        value: a `dict[str, Node]`, a `list[Node]`, or a plain TOML value.
        words: what was written on the command line, for an option that is text: a path may be
            2024, which TOML reads as a number.
    """

    value: Any
    origin: Origin
    words: str | None = None

    @classmethod
    def from_file(cls, source: Source) -> "Node":
        """The tables of a file, each value with its position."""

        def wrap(value: Any, path: Path) -> Node:
            if isinstance(value, dict):
                value = {key: wrap(item, (*path, key)) for key, item in value.items()}
            elif isinstance(value, list):
                value = [wrap(item, (*path, index)) for index, item in enumerate(value)]
            return cls(value, Origin(source=source, path=path))

        return wrap(source.tables, ())

    @classmethod
    def from_words(cls, value: Any, words: str = "") -> "Node":
        """Plain values, all of one origin: the command line."""
        if isinstance(value, Mapping):
            value = {key: cls.from_words(item, words) for key, item in value.items()}
        elif isinstance(value, list):
            value = [cls.from_words(item, words) for item in value]
        return cls(value, Origin(words=words))

    @classmethod
    def from_tables(cls, value: Any, path: Path = ()) -> "Node":
        """Values of Python, each with its dotted key as its origin."""
        if isinstance(value, Mapping):
            value = {key: cls.from_tables(item, (*path, key)) for key, item in value.items()}
        elif isinstance(value, list | tuple):
            value = [cls.from_tables(item, (*path, index)) for index, item in enumerate(value)]
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        return cls(value, Origin(words=".".join(map(str, path))))

    @property
    def table(self) -> dict[str, "Node"]:
        """The nodes of a table; empty if this is not a table."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """The value without origins."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def find(self, path: Path) -> "tuple[Node, bool]":
        """The node at `path`, or else the nearest one around it, and whether it is the former."""
        node = self
        for key in path:
            try:
                node = node.value[key]
            except (KeyError, IndexError, TypeError):
                return node, False
            if not isinstance(node, Node):  # an index into text
                return self.find(path[:-1])[0], False
        return node, True

    def without(self, *keys: str) -> "Node":
        """The table without some keys."""
        return evolve(self, value={k: v for k, v in self.table.items() if k not in keys})


def find_file(recipe: str | FilePath) -> FilePath:
    """The file of a recipe given by its path, or by the name of one that comes with dddm.

    Raises:
        RecipeError: if there is neither.
    """
    path = FilePath(recipe)
    if path_exists(path):
        return path.absolute()
    shipped = shipped_file(str(recipe))
    if shipped is not None:
        return shipped
    raise RecipeError(
        f"there is no file {shortened(str(recipe))}, and no recipe of that name comes with dddm",
        remedy=nearest(str(recipe).removesuffix(".toml"), shipped_names()),
    )


def merge_files(recipe: str | FilePath) -> Node:
    """A recipe merged with those that it extends, nothing of it checked.

    Raises:
        RecipeError: if a file cannot be read, the files extend each other in a circle, or one is
            outside of the recipe's folder.
    """
    sources = [Source.read(find_file(recipe))]
    while "extends" in sources[-1].tables:
        sources.append(_base_of(sources))
    merged = Node.from_file(sources.pop())
    for source in reversed(sources):
        # Scores reported for one recipe do not hold for those that extend it.
        merged = merge(merged.without("reported"), Node.from_file(source))
    return merged.without("extends")


def merge_tables(tables: Mapping[str, Any]) -> Node:
    """Tables of Python, merged with the recipe that `extends` names, a path or a recipe of dddm.

    Raises:
        RecipeError: if they nest too deeply, a key is not text, or that recipe cannot be read.
    """
    if not depth_is_sane(tables):
        raise RecipeError("the tables of the recipe are nested too deeply")
    root = Node.from_tables(tables)
    _refuse_keys(root)
    base = root.table.get("extends")
    if base is None:
        return root
    if not isinstance(base.value, str):
        refuse([Problem(what="extends must be the path or name of a recipe", origin=base.origin)])
    return merge(merge_files(base.value).without("reported"), root).without("extends")


def _refuse_keys(node: Node) -> None:
    for key, inner in node.table.items():
        if not isinstance(key, str):
            refuse([Problem(what=f"the key {key!r} is not text", origin=node.origin)])
        _refuse_keys(inner)


def _base_of(sources: Sequence[Source]) -> Source:
    """The file that the last of `sources` extends."""
    extending = sources[-1]
    base = extending.tables["extends"]
    origin = Origin(source=extending, path=("extends",))
    if not isinstance(base, str):
        refuse([Problem(what="extends must be the path of a recipe, as text", origin=origin)])
    beside = extending.file.parent / base
    file = beside if is_file(beside) else shipped_file(base) or beside
    if not path_exists(file):
        what = f"there is no recipe {base} next to this file, and none comes with dddm"
        remedy = "paths in `extends` are relative to the file that they are written in"
        refuse([Problem(what=what, remedy=remedy, origin=origin, at_value=True)])
    if any(file.samefile(known.file) for known in sources):
        refuse([Problem(what=f"{base} extends this file in a circle", origin=origin)])
    if len(sources) == _LONGEST_CHAIN:
        what = f"{_LONGEST_CHAIN} recipes extend each other, each the next"
        remedy = "write what they change in fewer files"
        refuse([Problem(what=what, remedy=remedy, origin=origin)])
    refuse_outside(file, root=sources[0].file, origin=origin)
    return Source.read(file, named_by=origin)


def merge(under: Node, over: Node, path: Path = ()) -> Node:
    """`over` laid over `under`, both at `path` of the recipe."""
    if path == _FEATURES and isinstance(over.value, dict):
        under = _as_table(under)
    if not isinstance(under.value, dict) or not isinstance(over.value, dict):
        return over
    if _replaces(over.value, under.value, path):
        return over
    merged = _without_rivals(under.value, over.value, path)
    for key, node in over.value.items():
        merged[key] = merge(merged[key], node, (*path, key)) if key in merged else node
    return Node(merged, over.origin)


def _as_table(node: Node) -> Node:
    return Node({"use": node}, node.origin) if isinstance(node.value, str) else node


def _replaces(over: Mapping[str, Node], under: Mapping[str, Node], path: Path) -> bool:
    """Whether a table chooses another component or preset, so that the one below it goes."""
    if path == ("evaluate",) and "preset" in over:
        return "preset" not in under or over["preset"].plain() != under["preset"].plain()
    if not path or not under or "use" not in over:
        return False
    default = DEFAULTS.get(str(path[0])) if len(path) == 1 else None
    used = under["use"].plain() if "use" in under else default
    return used is not None and not same_component(over["use"].plain(), used)


def same_component(one: object, other: object) -> bool:
    """Whether two values of `use` mean one component: `vp` and `dddm:vp` do.

    A bare name is valid only while it is unique, so it equals any full id that ends in it.
    """
    if not isinstance(one, str) or not isinstance(other, str) or (":" in one) == (":" in other):
        return one == other
    return one.rpartition(":")[2] == other.rpartition(":")[2]


def _without_rivals(under: Mapping[str, Node], over: Iterable[str], path: Path) -> dict[str, Node]:
    """The table below, without keys that a key of the table above replaces."""
    exclusive = _EXCLUSIVE.get(path, ())
    dropped = set(exclusive) - set(over) if set(exclusive) & set(over) else set()
    return {key: node for key, node in under.items() if key not in dropped}


@final
@frozen
class Override:
    """A change of a recipe: KEY=VALUE, as after `--set`, or a value of Python by its dotted key.

    Attributes:
        value: as text, which TOML reads, or as a node.
        words: as it was written, for messages.
    """

    key: str
    value: str | Node | None
    words: str


Overrides = Sequence[str] | Sequence[Override] | Mapping[str, Any]
"""KEY=VALUE, as after `--set`, or values of Python by their dotted keys."""


def as_overrides(given: Overrides) -> list[Override]:
    """Each change of `given`."""
    if isinstance(given, Mapping):
        return [
            Override(str(key), Node.from_tables(value, (str(key),)), f"{key} = {value!r}")
            for key, value in given.items()
        ]
    return [one if isinstance(one, Override) else _written(one) for one in given]


def _written(words: str) -> Override:
    key, equals, text = words.partition("=")
    return Override(key.strip(), text.strip() if equals else None, f"--set {words}")


def apply_overrides(root: Node, overrides: Overrides) -> tuple[Node, list[Problem]]:
    """Apply each change; the result, and what is wrong with them."""
    problems = []
    for override in as_overrides(overrides):
        try:
            root = _apply(root, override)
        except _OverrideError as error:
            what, remedy = error.args
            origin = Origin(words=override.words)
            problems.append(Problem(what=what, remedy=remedy, origin=origin))
    return root, problems


@final
class _OverrideError(Exception):
    """What is wrong with an override, and the remedy."""


def _apply(root: Node, override: Override) -> Node:
    parts = [part.strip() for part in override.key.split(".")]
    value = override.value
    if value is None or not all(parts) or len(parts) > _DEEPEST_KEY:
        raise _OverrideError(
            "this is not written KEY=VALUE", "write, for instance, --set train.epochs=2"
        )
    if isinstance(value, str):
        try:
            value = evolve(Node.from_words(parse_value(value), override.words), words=value)
        except ValueError as error:
            raise _OverrideError(
                str(error), "write numbers plainly, text in quotes, lists in [ ]"
            ) from error
    path: Path = tuple(int(part) if _NUMBER.fullmatch(part) else part for part in parts)
    try:
        return _put(root, path, value)
    except LookupError as error:
        raise _OverrideError(
            f"the recipe has no place {override.key}",
            "items of an array are counted from 0, as in sample.0.steps=[1]",
        ) from error


def parse_value(text: str) -> Any:
    """The value that TOML reads in `text`; other words, such as a path, are text.

    Raises:
        ValueError: if there are none, or they begin as text in quotes, a list or a table does.
    """
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        if text and text[0] not in "\"'[{":
            return text
        raise ValueError(f"{text!r} is not a TOML value") from None
    except RecursionError:
        tables = {}
    if len(tables) > 1:  # of several lines
        raise ValueError(f"{text!r} is not a TOML value")
    if not tables or not depth_is_sane(tables):
        raise ValueError("the brackets are nested too deeply")
    return tables["value"]


def _put(node: Node, path: Path, value: Node, at: Path = ()) -> Node:
    """The node at path `at`, with `value` at `path` in it; tables on the way are made.

    Raises:
        LookupError: if the path leads through something that is not a table or array, or an
            array is not that long.
    """
    key, rest = path[0], path[1:]
    here = (*at, key)
    if isinstance(node.value, list) and isinstance(key, int):
        items = list(node.value)
        items[key] = _put(items[key], rest, value, here) if rest else value
        return evolve(node, value=items)
    if not isinstance(node.value, dict) or not isinstance(key, str):
        raise KeyError(key)
    if rest:
        inner = node.value.get(key, Node({}, value.origin))
        inner = _as_table(inner) if here == _FEATURES and isinstance(rest[0], str) else inner
        return evolve(node, value={**node.value, key: _put(inner, rest, value, here)})
    replaced = _replaces({key: value}, node.value, at)
    kept = {} if replaced else _without_rivals(node.value, [key], at)
    return evolve(node, value={**kept, key: value})
