"""Finds plugins by their entry points and loads each so that it can harm no other."""

import os
import time
from collections.abc import Collection, Iterable
from importlib.metadata import EntryPoint
from typing import Final, final

import pluggy
from attrs import evolve

from dddm.errors import PluginError
from dddm.registry import hookspec
from dddm.registry.blame import in_words, place_of
from dddm.registry.catalogue import Catalogue, PluginStatus
from dddm.registry.component import Component
from dddm.registry.declaration import Declarations, is_name, namespace_of
from dddm.registry.find import GROUP, Found, find_plugins
from dddm.registry.guest import Guest, as_guest

DISABLE_VARIABLE: Final = "DDDM_DISABLE_PLUGINS"
"""Environment variable with names of plugins to switch off, separated by commas."""


def load_catalogue(disabled: Collection[str] = ()) -> Catalogue:
    """Load every installed plugin that is not switched off.

    Args:
        disabled: names of entry points, or namespaces; `DDDM_DISABLE_PLUGINS` adds to them.

    Raises:
        KeyboardInterrupt: at Ctrl-C, and at nothing that a plugin does.
    """
    words = os.environ.get(DISABLE_VARIABLE, "").split(",")
    off = {*disabled, *(word.strip() for word in words)}
    owners: dict[str, str] = {}
    components: list[Component] = []
    found, unreadable = find_plugins()
    statuses = list(unreadable)
    for one in found:
        name = one.point.name
        status = PluginStatus(name=name, package=one.package, version=one.version)
        if name in off or namespace_of(name) in off:
            statuses.append(evolve(status, disabled=True))
            continue
        loading = Loading()
        try:
            _refuse_taken_namespace(one, owners=owners)
            new = loading.load(one)
            _refuse_taken_names(one, new, components)
            components += new
        except PluginError as error:
            status = evolve(status, error=error)
        statuses.append(
            evolve(
                status,
                import_seconds=loading.import_seconds,
                register_seconds=loading.register_seconds,
                remarks=tuple(dict.fromkeys(loading.remarks)),
            )
        )
    return Catalogue(components, plugins=statuses)


def _refuse_taken_namespace(one: Found, *, owners: dict[str, str]) -> None:
    namespace = namespace_of(one.point.name)
    where = f"entry point {one.point.name} of {one.package}"
    if not is_name(namespace):
        raise PluginError(
            f"{namespace!r} is no namespace",
            where=where,
            remedy="begin the entry point's name with lower-case words joined by hyphens",
        )
    owner = owners.setdefault(namespace, one.package)
    if owner != one.package:
        raise PluginError(
            f"the namespace {namespace!r} belongs to {owner}, and {one.package} claims it too",
            where=where,
            remedy=f"uninstall one of them, or switch one off: -p no:{one.point.name}",
        )


def _refuse_taken_names(one: Found, new: Iterable[Component], known: Iterable[Component]) -> None:
    """Two entry points of one package share a namespace, and might share a name in it."""
    taken = {(component.kind, component.id): component.plugin for component in known}
    for component in new:
        plugin = taken.get((component.kind, component.id))
        if plugin is not None:
            raise PluginError(
                f"the {component.kind.value} {component.id} is registered by {plugin} already",
                where=f"entry point {one.point.name} of {one.package} {one.version}",
                remedy="give it another name",
            )


@final
class Loading:
    """The loading of one plugin: how long it took, and what the plugin did meanwhile."""

    def __init__(self) -> None:
        self.import_seconds = 0.0
        self.register_seconds = 0.0
        self.remarks: list[str] = []

    def load(self, one: Found) -> list[Component]:
        """The components of a plugin.

        Raises:
            PluginError: if it does not load; none of its components is kept then.
            KeyboardInterrupt: at Ctrl-C.
        """
        declarations = Declarations(plugin=one.point.name, package=one.package, version=one.version)
        failure: BaseException | None = None
        with as_guest() as guest:
            try:
                self._load(one.point, declarations)
            except BaseException as error:  # noqa: BLE001 - also SystemExit and what is like it
                failure = error
        self.remarks = guest.remarks
        self._refuse(one, failure, guest=guest)
        return declarations.components

    def _load(self, point: EntryPoint, declarations: Declarations) -> None:
        began = time.perf_counter()
        try:
            module = point.load()
        finally:
            self.import_seconds = time.perf_counter() - began
        began = time.perf_counter()
        try:
            _register(point.name, module, declarations)
        finally:
            self.register_seconds = time.perf_counter() - began

    @staticmethod
    def _refuse(one: Found, failure: BaseException | None, *, guest: Guest) -> None:
        if guest.interrupted:
            raise KeyboardInterrupt from failure
        if isinstance(failure, PluginError):
            failure.where = failure.where or one.where
            raise failure
        if failure is not None:
            place = place_of(failure)
            raise PluginError(
                f"the plugin {one.point.name} failed while it was loaded: {in_words(failure)}",
                where=one.where if place is None else f"{one.where}, {place}",
                remedy=f"update {one.package}, or switch the plugin off: -p no:{one.point.name}",
            ) from failure


def _register(name: str, module: object, declarations: Declarations) -> None:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspec)
    manager.register(module, name=name)
    manager.check_pending()
    if not manager.hook.dddm_register.get_hookimpls():
        raise PluginError(
            f"the plugin {name} has no hook `dddm_register`",
            remedy="decorate it with dddm.interfaces.plugin.hookimpl",
        )
    manager.hook.dddm_register(registrar=declarations)
