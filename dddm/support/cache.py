"""The cache folder, for files that can be made again.  Imports neither torch nor numpy."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from dddm.errors import EnvironmentProblem

CACHE_VARIABLE = "DDDM_CACHE"
"""Environment variable that names the cache folder."""
CACHE_REMEDY = f"set {CACHE_VARIABLE} to a folder that you may write to"


def cache_folder() -> Path:
    """`$DDDM_CACHE`, else `$XDG_CACHE_HOME/dddm`, else `~/.cache/dddm`; it may not exist yet.

    Raises:
        EnvironmentProblem: if that is in the home folder of a user who has none.
    """
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(os.environ.get(CACHE_VARIABLE) or Path(home, "dddm"))
    try:
        return folder.expanduser().absolute()
    except RuntimeError:
        raise EnvironmentProblem(
            "there is no home folder, which the cache would be in",
            where=str(folder),
            remedy=CACHE_REMEDY,
        ) from None


def is_in_cache(path: Path) -> bool:
    """Whether a file or folder, existing or not, belongs to the cache."""
    try:
        return path.is_relative_to(cache_folder())
    except EnvironmentProblem:
        return False


def key_of(identity: Any) -> str:
    """Hexadecimal SHA-256 of JSON values, independent of the order of keys."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
