"""Distributions that are installed into a folder, with plugins as third parties ship them."""

import textwrap
from pathlib import Path

HEAD = """\
from attrs import frozen
from dddm.interfaces.plugin import Kind, hookimpl, option

@frozen(kw_only=True)
class Options:
    eps: float = option(0.5, above=0, help="How far.")

"""


def registering(*calls: str) -> str:
    """A module whose hook calls `registrar.add` with each of the given arguments."""
    body = "\n".join(f"    registrar.add({call})" for call in calls)
    return f"{HEAD}@hookimpl\ndef dddm_register(registrar):\n{body}\n"


def metric(name: str) -> str:
    """Arguments that declare a metric."""
    return f'Kind.METRIC, "{name}", target="nowhere:X", options=Options, summary="A distance."'


def install(folder: Path, name: str, *, version: str = "1.0", **modules: tuple[str, str]) -> None:
    """Install a distribution: modules by name, each with its entry point and its source."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = ["[dddm]"]
    for module, (point, source) in modules.items():
        lines.append(f"{point} = {module}")
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
