"""Finds plugins by their entry points and loads each so that it can harm no other."""

import os
import time
from collections.abc import Collection, Iterable
from types import FunctionType
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
        disabled: names of entry points, namespaces, or distributions; `DDDM_DISABLE_PLUGINS` adds
            to them.

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
        if off & {name, namespace_of(name), one.package}:
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
            remedy="rename the entry point in the pyproject.toml of the one that is yours; or "
            f"uninstall one of them, or switch one off: -p no:{one.package}",
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
                self._load(one, declarations)
            except BaseException as error:  # noqa: BLE001 - also SystemExit and what is like it
                failure = error
        self.remarks = guest.remarks
        self._refuse(one, failure, guest=guest)
        return declarations.components

    def _load(self, one: Found, declarations: Declarations) -> None:
        began = time.perf_counter()
        try:
            module = one.point.load()
        finally:
            self.import_seconds = time.perf_counter() - began
        began = time.perf_counter()
        try:
            _register(one, module, declarations)
        finally:
            self.register_seconds = time.perf_counter() - began

    @staticmethod
    def _refuse(one: Found, failure: BaseException | None, *, guest: Guest) -> None:
        if guest.interrupted:
            raise KeyboardInterrupt from failure
        if failure is None:
            return
        place = place_of(failure)
        if isinstance(failure, PluginError):
            where = failure.where or one.where
            failure.where = where if place is None else f"{where}, {place}"
            raise failure
        raise PluginError(
            f"the plugin {one.point.name} failed while it was loaded: {in_words(failure)}",
            where=one.where if place is None else f"{one.where}, {place}",
            remedy=one.mended(place),
        ) from failure


def _register(one: Found, module: object, declarations: Declarations) -> None:
    """Call a plugin's hook, which pluggy finds by its mark, its name and its argument's name."""
    place = _place_of_hook(module)
    where = one.where if place is None else f"{one.where}, {place}"
    name = one.point.name
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspec)
    try:
        manager.register(module, name=name)
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"the hook `dddm_register` of the plugin {name} has other arguments than `registrar`",
            where=where,
            remedy="dddm_register must call its argument registrar, and have no other",
        ) from error
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"the plugin {name} has a hook of another name than `dddm_register`",
            where=where,
            remedy="call the function that is decorated with @hookimpl dddm_register",
        ) from error
    if not manager.hook.dddm_register.get_hookimpls():
        raise PluginError(
            f"the plugin {name} has no hook `dddm_register`",
            where=where,
            remedy="decorate it with dddm.interfaces.plugin.hookimpl",
        )
    manager.hook.dddm_register(registrar=declarations)


def _place_of_hook(module: object) -> str | None:
    """File and line of the first function that is marked as a hook."""
    for value in getattr(module, "__dict__", {}).values():
        if isinstance(value, FunctionType) and hasattr(value, f"{GROUP}_impl"):
            return f"{value.__code__.co_filename}:{value.__code__.co_firstlineno}"
    return None
