"""Finds plugins by their entry points and loads each so that it can harm no other."""

import contextlib
import os
import sys
from collections.abc import Collection, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import pluggy

from dddm.errors import PluginError
from dddm.registry import hookspec
from dddm.registry.catalogue import Catalogue, PluginStatus
from dddm.registry.component import Component
from dddm.registry.declaration import Declarations, is_name, namespace_of

GROUP: Final = "dddm"
"""The entry-point group."""

DISABLE_VARIABLE: Final = "DDDM_DISABLE_PLUGINS"
"""Environment variable with names of plugins to switch off, separated by commas."""


def load_catalogue(disabled: Collection[str] = ()) -> Catalogue:
    """Load every installed plugin that is not switched off.

    Args:
        disabled: names of entry points, or namespaces; `DDDM_DISABLE_PLUGINS` adds to them.
    """
    words = os.environ.get(DISABLE_VARIABLE, "").split(",")
    off = {*disabled, *(word.strip() for word in words)}
    owners: dict[str, str] = {}
    components: list[Component] = []
    statuses: list[PluginStatus] = []
    for point in sorted(entry_points(group=GROUP), key=_ours_first):
        package, version = _distribution(point)
        error = None
        skip = point.name in off or namespace_of(point.name) in off
        if not skip:
            try:
                _refuse_taken_namespace(point, package=package, owners=owners)
                new = _load(point, package=package, version=version)
                _refuse_taken_names(point, new, components)
                components += new
            except PluginError as failure:
                error = failure
        statuses.append(
            PluginStatus(
                name=point.name, package=package, version=version, error=error, disabled=skip
            )
        )
    return Catalogue(components, plugins=statuses)


def _ours_first(point: EntryPoint) -> tuple[bool, str, str]:
    package, _ = _distribution(point)
    return (package != "dddm", package, point.name)


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that has the entry point."""
    if point.dist is None:
        return ("unknown", "unknown")
    facts = point.dist.metadata
    # A broken installation may lack both.
    name = facts["Name"] if "Name" in facts else "unknown"  # noqa: SIM401 - it has no `get`
    version = facts["Version"] if "Version" in facts else "unknown"  # noqa: SIM401 - as above
    return (name, version)


def _refuse_taken_namespace(point: EntryPoint, *, package: str, owners: dict[str, str]) -> None:
    namespace = namespace_of(point.name)
    if not is_name(namespace):
        raise PluginError(
            f"{namespace!r} is no namespace",
            where=f"entry point {point.name} of {package}",
            remedy="begin the entry point's name with lower-case words joined by hyphens",
        )
    owner = owners.setdefault(namespace, package)
    if owner != package:
        raise PluginError(
            f"the namespace {namespace!r} belongs to {owner}, and {package} claims it too",
            where=f"entry point {point.name} of {package}",
            remedy=f"uninstall one of them, or switch one off: -p no:{point.name}",
        )


def _refuse_taken_names(
    point: EntryPoint, new: Iterable[Component], known: Iterable[Component]
) -> None:
    """Two entry points of one package share a namespace, and might share a name in it."""
    taken = {(component.kind, component.id): component.plugin for component in known}
    for component in new:
        plugin = taken.get((component.kind, component.id))
        if plugin is not None:
            raise PluginError(
                f"the {component.kind.value} {component.id} is registered by {plugin} already",
                where=f"entry point {point.name} of {component.package} {component.version}",
                remedy="give it another name",
            )


def _load(point: EntryPoint, *, package: str, version: str) -> list[Component]:
    """The components of one plugin: all of them, or a `PluginError`."""
    declarations = Declarations(plugin=point.name, package=package, version=version)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspec)
    try:
        # What a plugin prints while it is loaded must not get into a command's output.
        with contextlib.redirect_stdout(sys.stderr):
            module = point.load()
            manager.register(module, name=point.name)
            manager.check_pending()
            if not manager.hook.dddm_register.get_hookimpls():
                raise PluginError(  # noqa: TRY301 - one place says where it happened
                    f"the plugin {point.name} has no hook `dddm_register`",
                    remedy="decorate it with dddm.interfaces.plugin.hookimpl",
                )
            manager.hook.dddm_register(registrar=declarations)
    except PluginError as error:
        error.where = error.where or f"{point.value} of {package} {version}"
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"the plugin {point.name} failed while it was loaded: {error!r}",
            where=f"{point.value} of {package} {version}",
            remedy=f"update {package}, or switch the plugin off: -p no:{point.name}",
        ) from error
    return declarations.components
