"""The recipes and presets that come with dddm."""

from importlib.resources import files
from pathlib import Path
from typing import Final

_PACKAGE: Final = "dddm_recipes"


def shipped_folder() -> Path:
    """Where they are installed."""
    return Path(str(files(_PACKAGE)))


def shipped_names() -> list[str]:
    """Their names, without `.toml`."""
    return sorted(path.stem for path in shipped_folder().glob("*.toml"))


def shipped_file(name: str) -> Path | None:
    """The file of the recipe `digits` or `digits.toml`; None where there is none of that name."""
    stem = name.removesuffix(".toml")
    return shipped_folder() / f"{stem}.toml" if stem in shipped_names() else None


def presets_folder() -> Path:
    """Where the presets of `[evaluate]` are installed."""
    return shipped_folder() / "presets"


def preset_names() -> list[str]:
    """Their names, without `.toml`."""
    return sorted(path.stem for path in presets_folder().glob("*.toml"))
