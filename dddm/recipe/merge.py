"""Several layers of tables become one, and each value remembers where it came from.

Tables merge deeply; a table whose `use` changes is replaced, and so is `[evaluate]` when its
`preset` does; arrays are replaced whole.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from dddm.recipe.defaults import DEFAULTS, DURATIONS
from dddm.recipe.locate import Path
from dddm.recipe.problems import Origin
from dddm.recipe.source import Source

_SHORT: Final = ("evaluate", "features")
"""Where a name alone is short for a table with `use`."""

_ONE_OF: Final[Mapping[Path, tuple[tuple[str, ...], ...]]] = {("train",): (DURATIONS,)}
"""Keys of which one takes the place of the others."""

_WITH_PRESET: Final = ("evaluate",)
"""The table in which a preset decides what is not written."""


def same_component(one: Any, other: Any) -> bool:
    """Whether two values of `use` mean one component: `vp` and `dddm:vp` do.

    A bare name works only while it is unique, so it means the same as any full id that ends in it.
    """
    if not isinstance(one, str) or not isinstance(other, str) or (":" in one) == (":" in other):
        return bool(one == other)
    return one.rpartition(":")[2] == other.rpartition(":")[2]


def _chooses_another(tables: dict[str, Any], *, over: dict[str, Any], path: Path) -> bool:
    """Whether tables laid over others at `path` are about something else, so that these go."""
    if path == _WITH_PRESET and "preset" in tables:
        return bool(tables["preset"] != over.get("preset"))
    default = DEFAULTS.get(str(path[0])) if len(path) == 1 else None
    used = over.get("use", default if over else None)
    return used is not None and not same_component(tables.get("use", used), used)


def _drop_alternatives(into: dict[str, Any], tables: Mapping[str, Any], *, path: Path) -> None:
    """Where one of several keys is laid over another of them, the other goes."""
    for keys in _ONE_OF.get(path, ()):
        if any(key in tables for key in keys):
            for key in keys:
                if key not in tables:
                    into.pop(key, None)


@final
class Merged:
    """Tables, and the origin of every value in them."""

    def __init__(self) -> None:
        self.tables: dict[str, Any] = {}
        self._origins: dict[Path, Origin] = {}
        self._file: Source | None = None

    def add_file(self, source: Source) -> None:
        """Lay the tables of a file over what is there."""
        self._file = source

        def stands(path: Path) -> Origin:
            return Origin(source=source, path=path)

        self._merge(self.tables, source.tables, path=(), stands=stands)

    def lay_over(self, changes: dict[str, Any], *, written: Path) -> None:
        """Lay `changes` over what is there, as `add_file` does.

        Args:
            changes: tables that stand at `written`, or a part of them.
            written: where in these very tables they stand, so that errors are shown there.
        """
        before = dict(self._origins)
        around = self.origin(written)

        def stands(path: Path) -> Origin:
            whole = (*written, *path)
            depths = range(len(whole), len(written), -1)
            near = (before[whole[:n]] for n in depths if whole[:n] in before)
            return next(near, around) or Origin(source=self._file)

        self._merge(self.tables, changes, path=(), stands=stands)

    def without(self, key: str) -> "Merged":
        """A copy that can be changed apart from this one, less one key at its top."""
        copied = Merged()
        copied.tables = copy.deepcopy({name: v for name, v in self.tables.items() if name != key})
        copied._origins = dict(self._origins)
        copied._file = self._file
        return copied

    def put(self, path: Path, value: Any, *, words: str) -> None:
        """Set one value from the command line; tables on the way are made.

        Raises:
            KeyError: if the path leads through something that is no table or array.
            IndexError: if an array is not that long.
        """
        at: Any = self.tables
        for depth, key in enumerate(path[:-1]):
            if isinstance(at, dict) and isinstance(key, str):
                if key not in at:
                    at[key] = {}
                    self._origins[path[: depth + 1]] = Origin(words=words)
                self._open(at, path[: depth + 1])
                at = at[key]
            elif isinstance(at, list) and isinstance(key, int):
                at = at[key]
            else:
                raise KeyError(key)
        last = path[-1]
        if isinstance(at, dict) and isinstance(last, str):
            if _chooses_another({last: value}, over=at, path=path[:-1]):
                self._forget(path[:-1])
                at.clear()
            _drop_alternatives(at, {last: value}, path=path[:-1])
            at[last] = value
        elif isinstance(at, list) and isinstance(last, int):
            at[last] = value
        else:
            raise KeyError(last)
        self._forget(path)
        self._origins[path] = Origin(words=words)

    def lay_under(self, source: Source, *, path: Path) -> None:
        """Take from the table at `path` of a file what the one at this path does not say itself."""
        into: Any = self.tables
        tables: Any = source.tables
        for key in path:
            into, tables = into[key], tables[key]
        self._fill(into, tables, path=path, stands=lambda at: Origin(source=source, path=at))

    def origin(self, path: Path) -> Origin | None:
        """Where the value at `path` or the nearest table around it came from; else the file."""
        for depth in range(len(path), 0, -1):
            found = self._origins.get(path[:depth])
            if found is not None:
                return found
        return None if self._file is None else Origin(source=self._file)

    def _merge(
        self,
        into: dict[str, Any],
        tables: dict[str, Any],
        *,
        path: Path,
        stands: Callable[[Path], Origin],
    ) -> None:
        """Lay `tables` over `into`, both at `path`; `stands` says where they are written."""
        if path and _chooses_another(tables, over=into, path=path):
            self._forget(path)
            into.clear()
            self._origins[path] = stands(path)
        _drop_alternatives(into, tables, path=path)
        for key, value in tables.items():
            here = (*path, key)
            if isinstance(value, dict):
                self._open(into, here)
            there = into.get(key)
            if isinstance(value, dict) and isinstance(there, dict):
                self._origins[here] = stands(here)
                self._merge(there, value, path=here, stands=stands)
                continue
            self._forget(here)
            into[key] = copy.deepcopy(value)
            self._note_all(value, path=here, stands=stands)

    def _fill(
        self,
        into: dict[str, Any],
        tables: dict[str, Any],
        *,
        path: Path,
        stands: Callable[[Path], Origin],
    ) -> None:
        for key, value in tables.items():
            here = (*path, key)
            there = into.get(key)
            whole = {"use": value} if here == _SHORT and isinstance(value, str) else value
            if key not in into:
                into[key] = copy.deepcopy(value)
                self._note_all(value, path=here, stands=stands)
            elif (
                isinstance(there, dict)
                and isinstance(whole, dict)
                and not _chooses_another(there, over=whole, path=here)
            ):
                self._fill(there, whole, path=here, stands=stands)

    def _open(self, into: dict[str, Any], path: Path) -> None:
        """Make the table that a name alone is short for, where more is said of it."""
        key = path[-1]
        if path == _SHORT and isinstance(key, str) and isinstance(into.get(key), str):
            into[key] = {"use": into[key]}
            if path in self._origins:
                self._origins[*path, "use"] = self._origins[path]

    def _note_all(self, value: Any, *, path: Path, stands: Callable[[Path], Origin]) -> None:
        self._origins[path] = stands(path)
        inner: list[tuple[str | int, Any]] = []
        if isinstance(value, dict):
            inner = list(value.items())
        elif isinstance(value, list):
            inner = list(enumerate(value))
        for key, item in inner:
            self._note_all(item, path=(*path, key), stands=stands)

    def _forget(self, path: Path) -> None:
        for known in [known for known in self._origins if known[: len(path)] == path]:
            del self._origins[known]
