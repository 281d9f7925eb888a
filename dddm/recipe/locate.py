"""Positions of keys and values in a TOML text, for error messages.

`tomllib` reads the values but does not say where it found them.  This scanner finds the positions
and reads no values; the text must be one that `tomllib` accepts.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Final, final

from attrs import frozen

Path = tuple[str | int, ...]
"""From the root to a value: keys of tables and indices of arrays."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SPACE: Final = re.compile(r"[ \t]*")
_GAP: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN_VALUE: Final = re.compile(r"[^,\]}#\r\n]*[^,\]}#\r\n \t]")


@final
@frozen
class Place:
    """Offsets in the text, in characters; an array item has no key and starts at its value.

    Attributes:
        value_end: one past the value's last character.
    """

    key_start: int
    value_start: int
    value_end: int


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Both counted from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def locate(text: str) -> Mapping[Path, Place]:
    """Places of all keys and array items of a valid TOML text, by path."""
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.places


@final
class _Scanner:
    """Goes through the text once, from left to right; `_at` is the current offset."""

    def __init__(self, text: str) -> None:
        self.places: dict[Path, Place] = {}
        self._text = text
        self._at = 0
        self._tables_in_array: dict[Path, int] = {}

    def scan(self) -> None:
        table: Path = ()
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_GAP)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _header(self) -> Path:
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 2 if is_array else 1
        self._skip(_SPACE)
        *parents, last = self._keys()
        self._skip(_SPACE)
        self._at += 2 if is_array else 1
        table: Path = ()
        above: list[Path] = []
        for key in parents:
            above.append((*table, key))
            table = self._newest(above[-1])
        table = (*table, last)
        if is_array:
            index = self._tables_in_array.get(table, -1) + 1
            self._tables_in_array[table] = index
            self._note(table, key_at=start, start=start)
            table = (*table, index)
        for path in (table, *above):
            self._note(path, key_at=start, start=start)
        return table

    def _newest(self, path: Path) -> Path:
        """The table that a header's parent key means: the last one of an array of tables."""
        index = self._tables_in_array.get(path)
        return path if index is None else (*path, index)

    def _pair(self, table: Path) -> None:
        key_at = self._at
        keys = self._keys()
        self._skip(_SPACE)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        start = self._at
        path = (*table, *keys)
        self._value(path)
        for depth in range(1, len(keys) + 1):
            whole = (*table, *keys[:depth])
            self._note(whole, key_at=key_at, start=start)

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while True:
            quoted = _STRING.match(self._text, self._at)
            bare = _BARE_KEY.match(self._text, self._at)
            if quoted is not None:
                keys.append(tomllib.loads("key = " + quoted[0])["key"])
                self._at = quoted.end()
            elif bare is not None:
                keys.append(bare[0])
                self._at = bare.end()
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return keys
            self._at += 1
            self._skip(_SPACE)

    def _value(self, path: Path) -> None:
        if self._text[self._at] == "[":
            self._array(path)
        elif self._text[self._at] == "{":
            self._inline_table(path)
        else:
            self._skip(_STRING if self._text[self._at] in "\"'" else _PLAIN_VALUE)

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip(_GAP)
        index = 0
        while self._text[self._at] != "]":
            start = self._at
            self._value((*path, index))
            self._note((*path, index), key_at=start, start=start)
            index += 1
            self._skip(_GAP)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_GAP)
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip(_GAP)
        while self._text[self._at] != "}":
            self._pair(path)
            self._skip(_GAP)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_GAP)
        self._at += 1

    def _note(self, path: Path, *, key_at: int, start: int) -> None:
        # A table may be named again, as in [a.b] after [a]: its first place is kept.
        self.places.setdefault(path, Place(key_at, start, self._at))
