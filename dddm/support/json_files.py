"""Reads JSON that may be damaged, or written to do harm: bounded in size and depth."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from dddm.support.files import read_file

_MOST_BYTES: Final = 256 << 20
_MOST_LEVELS: Final = 64


def read_json(path: Path) -> Any:
    """The contents of a JSON file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: in words, if it cannot be read: not a file, too large or deep, not JSON.
    """
    try:
        text = read_file(path, limit=_MOST_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    return parse_json(text)


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: in words, if it is not JSON, is nested too deep, or has half a character.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {_MOST_LEVELS} levels") from None
    # Python's own limit depends on its caller: what is read here may be written by another.
    if text.count("[") + text.count("{") > _MOST_LEVELS and _levels(value) > _MOST_LEVELS:
        raise ValueError(f"it is nested deeper than {_MOST_LEVELS} levels")
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError
    return value


def _levels(value: Any) -> int:
    """How deep lists and tables are nested; 0 for neither."""
    levels, inside = 0, [value]
    while inside := [each for each in inside if isinstance(each, dict | list)]:
        levels += 1
        inside = [
            each for one in inside for each in (one.values() if isinstance(one, dict) else one)
        ]
    return levels


WHOLE: Final = (int,)
NUMBER: Final = (int, float)
TEXT: Final = (str,)
OBJECT: Final = (dict,)
LIST: Final = (list,)
OPTIONAL: Final = (type(None),)
_WORDS: Final = {
    dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a whole number",
    float: "a number", type(None): "null",
}  # fmt: skip
_LARGEST: Final = 2**63 - 1


def check_object(
    value: object, kinds: Mapping[str, tuple[type, ...]], *, required: Iterable[str] = ()
) -> dict[str, Any]:
    """`value`, which is an object whose entries have these types, as far as they are there.

    Numbers are finite, and whole ones fit 64 bits.

    Raises:
        ValueError: in words, for the first entry that is not as it should be.
    """
    if not isinstance(value, dict):
        raise ValueError(f"it is {_WORDS[type(value)]}, not an object")  # noqa: TRY004 - of the text
    for name in required:
        if name not in value:
            raise ValueError(f"{name!r} is missing")
    for name, allowed in kinds.items():
        if name in value:
            check_type(value[name], allowed, name=name)
    return value


def check_type(value: object, allowed: tuple[type, ...], *, name: str) -> None:
    """The same check of a single value, called `name` in the error."""
    if type(value) not in allowed:
        wanted = " or ".join(
            _WORDS[kind] for kind in allowed if kind is not int or float not in allowed
        )
        raise ValueError(f"{name!r} is {_WORDS[type(value)]}, not {wanted}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name!r} is {value}")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError(f"{name!r} is a number of {value.bit_length()} bits")
