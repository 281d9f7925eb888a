"""All components that can be used, and what became of every plugin."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, final

from attrs import frozen

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.registry.component import Component
from dddm.registry.declaration import namespace_of


@final
@frozen(kw_only=True)
class PluginStatus:
    """One entry point.

    Attributes:
        error: why it was set aside; None where it was loaded or switched off.
        disabled: whether the user switched it off.
        import_seconds: what the import of its module took.
        register_seconds: what its hook took.
        remarks: what it did to the process while it was loaded; all but `imports torch` was undone.
    """

    name: str
    package: str
    version: str
    error: PluginError | None = None
    disabled: bool = False
    import_seconds: float = 0.0
    register_seconds: float = 0.0
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """What loading it took in all."""
        return self.import_seconds + self.register_seconds

    @property
    def title(self) -> str:
        """Its name, and the package that it is of, as messages name it."""
        return f"{self.name} of {self.package} {self.version}"

    @property
    def word(self) -> str:
        """`loaded`, `set aside` or `switched off`."""
        if self.disabled:
            return "switched off"
        return "set aside" if self.error is not None else "loaded"

    @property
    def facts(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "name": self.name,
            "package": self.package,
            "version": self.version,
            "status": self.word,
            "reason": None if self.error is None else str(self.error),
            "remarks": list(self.remarks),
            "import_ms": round(self.import_seconds * 1000, 2),
            "register_ms": round(self.register_seconds * 1000, 2),
        }


@final
class Catalogue:
    """Components by kind and name."""

    def __init__(
        self, components: Iterable[Component], *, plugins: Iterable[PluginStatus] = ()
    ) -> None:
        self._components = tuple(sorted(components, key=lambda c: (c.kind.value, c.id)))
        self.plugins = tuple(sorted(plugins, key=lambda p: p.name))

    @property
    def set_aside(self) -> Mapping[str, PluginError]:
        """Plugins that could not be used, with the reason."""
        return {p.name: p.error for p in self.plugins if p.error is not None}

    def components(self, kind: Kind | None = None) -> tuple[Component, ...]:
        """All components, or those of one kind, in order of kind and id."""
        return tuple(c for c in self._components if kind is None or c.kind is kind)

    def find(self, kind: Kind, name: str) -> Component:
        """The component called `name`: a full id, or a bare name that is unique in its kind.

        Raises:
            PluginError: if there is none, or several; with the nearest names or the candidates.
        """
        found = [c for c in self.components(kind) if name in {c.id, c.name}]
        if len(found) == 1:
            return found[0]
        if found:
            raise PluginError(
                f"{name!r} is the name of several {kind.value} components",
                remedy="write one of " + ", ".join(c.id for c in found),
            )
        raise self._unknown(kind, name)

    def named(self, name: str) -> tuple[Component, ...]:
        """Every component, of whatever kind, whose id or bare name is `name`: at least one.

        Raises:
            PluginError: if there is none; with the nearest names.
        """
        found = tuple(c for c in self._components if name in {c.id, c.name})
        if not found:
            raise self._unknown(None, name)
        return found

    def _unknown(self, kind: Kind | None, name: str) -> PluginError:
        word = "component" if kind is None else kind.value
        what = f"there is no {word} called {name!r}"
        # A name without a colon may be a plugin's, which is not in use.
        meant = {name.partition(":")[0], name}
        for plugin in self.plugins:
            if not meant & {plugin.name, namespace_of(plugin.name)}:
                continue
            if plugin.error is not None:
                return PluginError(
                    f"{what}, because the plugin {plugin.name} was set aside: {plugin.error.what}",
                    where=plugin.error.where,
                    remedy=plugin.error.remedy,
                )
            if plugin.disabled:
                return PluginError(
                    f"{what}, because the plugin {plugin.name} is switched off",
                    remedy=f"leave out -p no:{plugin.name}, and unset DDDM_DISABLE_PLUGINS",
                )
        here = self.components(kind)
        near = difflib.get_close_matches(name, [c.name for c in here] + [c.id for c in here], n=3)
        if near:
            remedy = "did you mean " + " or ".join(near) + "?"
        elif kind is None:
            remedy = "is its package installed?  `dddm plugins` lists what is"
        elif here:
            remedy = "choose among " + ", ".join(dict.fromkeys(c.name for c in here))
        else:
            remedy = f"install a plugin that has a {word}; see `dddm plugins`"
        idle = [f"{p.name} is {p.word}" for p in self.plugins if p.word != "loaded"]
        if idle:
            remedy += "  (" + ", ".join(idle) + ")"
        return PluginError(what, remedy=remedy)
