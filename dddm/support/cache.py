"""The cache folder, for files that can be made again.  Imports neither torch nor numpy."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "DDDM_CACHE"
"""Environment variable that names the cache folder."""


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
