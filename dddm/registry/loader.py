"""Finds plugins by their entry points and loads them; one that fails is disabled, with the reason.

Every entry point of group `dddm` is a module with one hook, `dddm_register`.
"""

import os
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any, Final, final

import pluggy
from attrs import evolve, frozen

from dddm.errors import PluginError
from dddm.interfaces.plugin import Registrar
from dddm.registry import hookspec
from dddm.registry.catalogue import Catalogue, PluginStatus
from dddm.registry.component import Component
from dddm.registry.registrar import PluginRegistrar, is_name, namespace_of
from dddm.registry.tracebacks import line_in_package, summarize, top_package

GROUP: Final = "dddm"
"""The entry-point group."""
DISABLE_VARIABLE: Final = "DDDM_DISABLE_PLUGINS"
"""Environment variable with names of plugins to disable, separated by commas."""


@final
@frozen(kw_only=True)
class EntryPointInfo:
    """An entry point, with name and version of its distribution."""

    point: EntryPoint
    package: str
    version: str

    @property
    def place(self) -> str:
        """Where it is declared, as errors name it."""
        return f"entry point {self.point.name} of {self.package} {self.version}"


def load_catalogue(disabled: Collection[str] = ()) -> Catalogue:
    """Load every installed plugin that is not disabled.

    Args:
        disabled: names of entry points, namespaces, or distributions; `DDDM_DISABLE_PLUGINS` adds
            to them.
    """
    disabled = {*disabled, *map(str.strip, os.environ.get(DISABLE_VARIABLE, "").split(","))}
    owners: dict[str, str] = {}
    components: list[Component] = []
    entries, statuses = find_entry_points()
    for entry in entries:
        name = entry.point.name
        status = PluginStatus(name=name, package=entry.package, version=entry.version)
        if disabled & {name, namespace_of(name), entry.package}:
            statuses.append(evolve(status, disabled=True))
            continue
        had_torch = "torch" in sys.modules
        started = time.perf_counter()
        error = None
        try:
            _check_namespace(entry, owners=owners)
            new = load_plugin(entry)
            _check_names(entry, new, components)
            components += new
        except PluginError as failure:
            error = failure
        statuses.append(
            evolve(
                status,
                error=error,
                seconds=time.perf_counter() - started,
                imports_torch=not had_torch and "torch" in sys.modules,
            )
        )
    return Catalogue(components, plugins=statuses)


def load_plugin(entry: EntryPointInfo) -> list[Component]:
    """The components of a plugin.

    Raises:
        PluginError: if it cannot be loaded; none of its components is kept then.
    """
    registrar = PluginRegistrar(
        plugin=entry.point.name, package=entry.package, version=entry.version
    )
    try:
        _call_hook(entry, entry.point.load(), registrar)
    except (Exception, SystemExit) as error:
        # The last line of the plugin's own code: in dddm it is where the mistake was noticed.
        line = line_in_package(error, top_package(entry.point.value))
        place = entry.place if line is None else f"{entry.place}, {line}"
        if isinstance(error, PluginError):
            error.where = place
            raise
        raise PluginError(
            f"the plugin {entry.point.name} failed to load: {summarize(error)}",
            where=place,
            remedy=f"fix or update {entry.package}, or disable it: -p no:{entry.point.name}",
        ) from error
    return registrar.components


def _call_hook(entry: EntryPointInfo, module: object, registrar: Registrar) -> None:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspec)
    try:
        manager.register(module, name=entry.point.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        message = str(error).partition("\n")[0]
        raise PluginError(
            f"the plugin {entry.point.name} has an invalid hook: {message}",
            remedy="define it as @hookimpl def dddm_register(registrar: Registrar) -> None",
        ) from error
    if not manager.hook.dddm_register.get_hookimpls():
        raise PluginError(
            f"the plugin {entry.point.name} has no hook `dddm_register`",
            remedy="decorate it with dddm.interfaces.plugin.hookimpl",
        )
    manager.hook.dddm_register(registrar=registrar)


def _check_namespace(entry: EntryPointInfo, *, owners: dict[str, str]) -> None:
    namespace = namespace_of(entry.point.name)
    if not is_name(namespace):
        raise PluginError(
            f"{namespace!r} is not a valid namespace",
            where=entry.place,
            remedy="begin the entry point's name with lower-case words joined by hyphens",
        )
    owner = owners.setdefault(namespace, entry.package)
    if owner != entry.package:
        raise PluginError(
            f"the namespace {namespace!r} belongs to {owner}, and {entry.package} claims it too",
            where=entry.place,
            remedy="rename the entry point in the pyproject.toml of your package, uninstall one "
            f"of the two, or disable one: -p no:{entry.package}",
        )


def _check_names(
    entry: EntryPointInfo, new: Iterable[Component], known: Iterable[Component]
) -> None:
    """Two entry points of one package share a namespace, and might share a name in it."""
    taken = {(component.kind, component.id): component.plugin for component in known}
    for component in new:
        if (plugin := taken.get((component.kind, component.id))) is not None:
            raise PluginError(
                f"the {component.kind.value} {component.id} is already registered by {plugin}",
                where=entry.place,
                remedy="give it another name",
            )


def find_entry_points() -> tuple[list[EntryPointInfo], list[PluginStatus]]:
    """Entry points in loading order, built-ins first; and distributions that cannot be read."""
    unreadable: list[PluginStatus] = []
    try:
        points = list(entry_points(group=GROUP))
    except Exception:  # noqa: BLE001 - one damaged distribution would hide those of all others
        points = list(_readable_entry_points(unreadable))
    names = {id(point.dist): _name_and_version(point.dist) for point in points}
    entries = [
        EntryPointInfo(point=point, package=package, version=version)
        for point in points
        for package, version in [names[id(point.dist)]]
    ]
    entries.sort(key=lambda entry: (entry.package != "dddm", entry.package, entry.point.name))
    return entries, unreadable


def _readable_entry_points(unreadable: list[PluginStatus]) -> Iterator[EntryPoint]:
    seen = set()
    for distribution in distributions():
        name, version = _name_and_version(distribution)
        if name in seen:  # shadowed by one earlier on the path
            continue
        seen.add(name)
        try:
            yield from distribution.entry_points.select(group=GROUP)
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
            failure = PluginError(
                f"its entry points cannot be read: {summarize(error)}",
                where=f"entry_points.txt of {name} {version}",
                remedy=f"reinstall {name}",
            )
            unreadable.append(PluginStatus(name=name, package=name, version=version, error=failure))


def _name_and_version(distribution: Distribution | None) -> tuple[str, str]:
    """A broken installation may lack either."""
    try:
        metadata = None if distribution is None else distribution.metadata.json
    except Exception:  # noqa: BLE001 - missing or unreadable metadata raises various errors
        metadata = None
    facts: dict[str, Any] = metadata or {}
    return facts.get("name", "unknown"), facts.get("version", "unknown")
