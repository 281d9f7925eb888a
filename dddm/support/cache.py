"""Where files are kept that dddm can make again.  Imports no torch and no numpy."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "DDDM_CACHE"
"""Environment variable: the folder of the cache; without it `~/.cache/dddm`."""

_NAME_DIGITS = 12


def cache_folder() -> Path:
    """`$DDDM_CACHE`, else `$XDG_CACHE_HOME/dddm`, else `~/.cache/dddm`; it may not exist yet."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser().absolute() / "dddm"


def key_of(identity: Any) -> str:
    """SHA-256, in hexadecimal, of plain values: equal exactly where they are."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def packed_folder(*, name: str, key: str) -> Path:
    """Where a data set is packed unless its options say otherwise."""
    return cache_folder() / "packed" / f"{name}-{key[:_NAME_DIGITS]}"
