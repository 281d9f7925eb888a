"""The entry points of plugins, ours first; what of them cannot be read is named."""

import json
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Final, final

from attrs import frozen

from dddm.errors import PluginError
from dddm.registry.blame import in_words
from dddm.registry.catalogue import PluginStatus

GROUP: Final = "dddm"
"""The entry-point group."""


@final
@frozen(kw_only=True)
class Found:
    """An entry point, and name and version of the distribution that has it."""

    point: EntryPoint
    package: str
    version: str

    @property
    def where(self) -> str:
        """As errors name the place."""
        return f"{self.point.value} of {self.package} {self.version}"

    @property
    def mine(self) -> bool:
        """Whether it is an editable install, so that who reads an error may be its author."""
        try:
            text = None if self.point.dist is None else self.point.dist.read_text("direct_url.json")
            return text is not None and json.loads(text)["dir_info"]["editable"] is True
        except Exception:  # noqa: BLE001 - what a damaged installation raises, differs
            return False

    def mended(self, place: str | None) -> str:
        """What to do about a failure of its code, which is the author's or the user's to do."""
        if self.mine:
            return f"mend {place or 'it'}"
        return f"update {self.package}, or switch the plugin off: -p no:{self.point.name}"


def find_plugins() -> tuple[list[Found], list[PluginStatus]]:
    """Entry points in the order in which they are loaded, ours first; and what cannot be read."""
    unreadable: list[PluginStatus] = []
    try:
        points = list(entry_points(group=GROUP))
    except Exception:  # noqa: BLE001 - one damaged distribution hides those of all others
        points = list(_one_by_one(unreadable))
    names = {id(point.dist): _name_and_version(point.dist) for point in points}
    found = [
        Found(point=point, package=package, version=version)
        for point in points
        for package, version in (names[id(point.dist)],)
    ]
    found.sort(key=lambda one: (one.package != "dddm", one.package, one.point.name))
    return found, unreadable


def _one_by_one(unreadable: list[PluginStatus]) -> Iterator[EntryPoint]:
    seen = set()
    for distribution in distributions():
        name, version = _name_and_version(distribution)
        if name in seen:
            continue
        seen.add(name)
        try:
            yield from distribution.entry_points.select(group=GROUP)
        except Exception as error:  # noqa: BLE001 - whatever is damaged
            refusal = PluginError(
                f"its entry points cannot be read: {in_words(error)}",
                where=f"entry_points.txt of {name} {version}",
                remedy=f"reinstall {name}",
            )
            unreadable.append(PluginStatus(name=name, package=name, version=version, error=refusal))


def _name_and_version(distribution: Distribution | None) -> tuple[str, str]:
    """Of a distribution; a broken installation may lack either."""
    try:
        facts = None if distribution is None else distribution.metadata
    except Exception:  # noqa: BLE001 - what metadata are missing or unreadable raises, differs
        facts = None
    if facts is None:
        return ("unknown", "unknown")
    name = facts["Name"] if "Name" in facts else "unknown"  # noqa: SIM401 - it has no `get`
    version = facts["Version"] if "Version" in facts else "unknown"  # noqa: SIM401 - as above
    return (name, version)
