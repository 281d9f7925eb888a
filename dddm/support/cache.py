"""Where files are kept that dddm can make again.  Imports no torch and no numpy."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "DDDM_CACHE"
"""Environment variable: the cache folder; by default `~/.cache/dddm`."""

_NAME_DIGITS = 12


def cache_folder() -> Path:
    """`$DDDM_CACHE`, else `$XDG_CACHE_HOME/dddm`, else `~/.cache/dddm`; it may not exist yet."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser().absolute() / "dddm"


def key_of(identity: Any) -> str:
    """Hexadecimal SHA-256 of JSON values, independent of the order of keys."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def packed_folder(*, name: str, key: str) -> Path:
    """Where a data set is packed unless its options name a folder."""
    return cache_folder() / "packed" / f"{name}-{key[:_NAME_DIGITS]}"
