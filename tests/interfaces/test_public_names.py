"""The names that plugins may use, and their signatures, change only where somebody means it."""

import difflib
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINNED = ROOT / "docs" / "reference" / "public-names.txt"


def difference(now: str) -> list[str]:
    """Lines that are pinned and gone, or new."""
    lines = difflib.ndiff(PINNED.read_text(encoding="utf-8").splitlines(), now.splitlines())
    return [line for line in lines if line[0] in "-+"]


def test_public_names_are_those_that_are_pinned() -> None:
    """What is promised for this version of the plugin interface neither goes nor changes unseen."""
    now = runpy.run_path(str(ROOT / "docs" / "reference.py"))["public_names"]()
    changed = difference(now)
    assert not changed, (
        "public names have changed:\n" + "\n".join(changed) + "\n"
        "docs/plugin-api.md says what may change and how it is announced; if this may, run\n"
        "    python docs/reference.py"
    )


def test_a_changed_signature_would_be_found() -> None:
    """The comparison is sharp: a name that goes, and an argument that is renamed."""
    pinned = PINNED.read_text(encoding="utf-8")
    line = next(line for line in pinned.splitlines() if "Metric.distance(" in line)
    assert difference(pinned.replace(line + "\n", "")) == [f"- {line}"]
    renamed = line.replace("target:", "image:")
    assert renamed != line
    assert difference(pinned.replace(line, renamed)) == [f"- {line}", f"+ {renamed}"]


def test_private_names_are_not_pinned() -> None:
    """Nobody is promised what begins with an underscore, but for what Python calls by itself."""
    for line in PINNED.read_text(encoding="utf-8").splitlines():
        module, _, rest = line.partition("  ")
        name = rest.split("(")[0].split(":")[0].split()[-1 if "class " not in rest else 0]
        parts = [*module.split("."), *name.split(".")]
        assert not any(part.startswith("_") and not part.endswith("__") for part in parts), line
