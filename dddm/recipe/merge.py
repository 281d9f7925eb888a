"""Several layers of tables become one, and each value remembers where it came from.

Tables merge deeply; a table whose `use` changes is replaced; arrays are replaced whole.
"""

import copy
from typing import Any, Final, final

from dddm.recipe.locate import Path
from dddm.recipe.problems import Origin
from dddm.recipe.source import Source

_SHORT: Final = ("evaluate", "features")
"""Where a name alone is short for a table with `use`."""


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
        self._merge(self.tables, source.tables, path=(), source=source)

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
            if last == "use" and at.get("use", value) != value:
                self._forget(path[:-1])
                at.clear()
            at[last] = value
        elif isinstance(at, list) and isinstance(last, int):
            at[last] = value
        else:
            raise KeyError(last)
        self._forget(path)
        self._origins[path] = Origin(words=words)

    def origin(self, path: Path) -> Origin | None:
        """Where the value at `path` or the nearest table around it came from; else the file."""
        for depth in range(len(path), 0, -1):
            found = self._origins.get(path[:depth])
            if found is not None:
                return found
        return None if self._file is None else Origin(source=self._file)

    def _merge(
        self, into: dict[str, Any], tables: dict[str, Any], *, path: Path, source: Source
    ) -> None:
        if path and "use" in into and tables.get("use", into["use"]) != into["use"]:
            self._forget(path)
            into.clear()
        for key, value in tables.items():
            here = (*path, key)
            if isinstance(value, dict):
                self._open(into, here)
            there = into.get(key)
            if isinstance(value, dict) and isinstance(there, dict):
                self._origins[here] = Origin(source=source, path=here)
                self._merge(there, value, path=here, source=source)
                continue
            self._forget(here)
            into[key] = copy.deepcopy(value)
            self._note_all(value, path=here, source=source)

    def _open(self, into: dict[str, Any], path: Path) -> None:
        """Make the table that a name alone is short for, where more is said of it."""
        key = path[-1]
        if path == _SHORT and isinstance(key, str) and isinstance(into.get(key), str):
            into[key] = {"use": into[key]}
            if path in self._origins:
                self._origins[*path, "use"] = self._origins[path]

    def _note_all(self, value: Any, *, path: Path, source: Source) -> None:
        self._origins[path] = Origin(source=source, path=path)
        inner: list[tuple[str | int, Any]] = []
        if isinstance(value, dict):
            inner = list(value.items())
        elif isinstance(value, list):
            inner = list(enumerate(value))
        for key, item in inner:
            self._note_all(item, path=(*path, key), source=source)

    def _forget(self, path: Path) -> None:
        for known in [known for known in self._origins if known[: len(path)] == path]:
            del self._origins[known]
