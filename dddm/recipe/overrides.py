"""`--set train.epochs=2` on the command line."""

import re
import tomllib
from typing import Any, Final

from dddm.recipe.locate import Path
from dddm.recipe.merge import Merged
from dddm.recipe.problems import Origin, Problem

_BARE_STRING: Final = re.compile(r"[A-Za-z_][\w:./-]*")
_NUMBER: Final = re.compile(r"\d+")


def parse_value(text: str) -> Any:
    """The value that TOML reads in `text`; a bare word is a string.

    Raises:
        ValueError: if it is neither.
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if _BARE_STRING.fullmatch(text):
            return text
        raise ValueError(f"{text!r} is no TOML value") from None
    except RecursionError:
        raise ValueError("brackets within brackets without end") from None


def apply_override(merged: Merged, words: str) -> Problem | None:
    """Apply one KEY=VALUE; what is wrong with it, or None."""
    origin = Origin(words=f"--set {words}")
    key, equals, text = words.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        return Problem(
            what="this is not written KEY=VALUE",
            remedy="write, for instance, --set train.epochs=2",
            origin=origin,
        )
    path: Path = tuple(int(part) if _NUMBER.fullmatch(part) else part for part in parts)
    try:
        value = parse_value(text.strip())
    except ValueError as error:
        return Problem(
            what=str(error),
            remedy="write numbers plainly, text in quotes, lists in [ ]",
            origin=origin,
        )
    try:
        merged.put(path, value, words=origin.words)
    except (KeyError, IndexError):
        return Problem(
            what=f"there is no place {key.strip()} in the recipe",
            remedy="items of an array are counted from 0, as in sample.0.steps=[1]",
            origin=origin,
        )
    return None
