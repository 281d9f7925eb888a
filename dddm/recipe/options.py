"""A table becomes an instance of an options class; all that is wrong with it is collected."""

from collections.abc import Mapping
from typing import Any, final, get_type_hints

import attrs

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.recipe.locate import Path
from dddm.recipe.merge import Merged
from dddm.recipe.model import ComponentConfig
from dddm.recipe.problems import Problem, nearest
from dddm.recipe.types import check_bounds, convert, describe_bounded
from dddm.registry.catalogue import Catalogue


def hints_of(options: type[Any]) -> Mapping[str, Any]:
    """Annotations of an options class, resolved."""
    return get_type_hints(options)


@final
class Reading:
    """Merged tables that are being read, the components and the problems found so far.

    Attributes:
        missing: normalised names of packages that the recipe requires and that are not installed.
    """

    def __init__(self, merged: Merged, catalogue: Catalogue) -> None:
        self.merged = merged
        self.catalogue = catalogue
        self.problems: list[Problem] = []
        self.uses: list[tuple[Path, ComponentConfig]] = []
        self.missing: set[str] = set()

    def complain(
        self,
        what: str,
        *,
        path: Path,
        remedy: str | None = None,
        of_plugin: bool = False,
        at_value: bool = False,
    ) -> None:
        """Note a problem with what stands at `path`."""
        self.problems.append(
            Problem(
                what=what,
                remedy=remedy,
                origin=self.merged.origin(path),
                of_plugin=of_plugin,
                at_value=at_value,
            )
        )

    def table(self, name: str) -> dict[str, Any] | None:
        """A top-level table; None, with a problem, where it is missing or no table."""
        value = self.merged.tables.get(name)
        if value is None:
            self.complain(f"the table [{name}] is missing", path=(), remedy=f"add [{name}]")
            return None
        if not isinstance(value, dict):
            self.complain(f"{name} must be a table", path=(name,), remedy=f"write [{name}]")
            return None
        return value

    def array(self, name: str) -> list[dict[str, Any]]:
        """A top-level array of tables; empty where it is missing or, with a problem, no such."""
        value = self.merged.tables.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.complain(f"{name} must be tables", path=(name,), remedy=f"write [[{name}]]")
            return []
        return value

    def use(
        self,
        kind: Kind,
        table: Mapping[str, Any],
        *,
        path: Path,
        reserved: frozenset[str] = frozenset(),
        default: str | None = None,
    ) -> ComponentConfig | None:
        """The component that `table` uses; None, with problems, where that cannot be.

        Args:
            path: of the table.
            reserved: keys of the table that are not the component's own.
            default: the component that is meant where the table names none.
        """
        shown = ".".join(map(str, path))
        name = table.get("use", default)
        if not isinstance(name, str):
            names = ", ".join(c.name for c in self.catalogue.components(kind))
            self.complain(
                f"[{shown}] must say which {kind.value} to use",
                path=(*path, "use") if "use" in table else path,
                remedy=f'write use = "…", one of {names}'
                if names
                else "install a plugin that has one",
            )
            return None
        try:
            component = self.catalogue.find(kind, name)
        except PluginError as error:
            if self._is_of_missing(name):
                return None
            self.complain(
                error.what, path=(*path, "use"), remedy=error.remedy, of_plugin=True, at_value=True
            )
            return None
        own = {key: value for key, value in table.items() if key != "use" and key not in reserved}
        options = self.options(
            component.options, own, path=path, title=f"the {kind.value} {component.name}"
        )
        if options is None:
            return None
        use = ComponentConfig(component=component, options=options)
        self.uses.append((path, use))
        return use

    def options(
        self, options: type[Any], table: Mapping[str, Any], *, path: Path, title: str
    ) -> Any | None:
        """An instance of `options` from `table`; None, with problems, where that cannot be.

        Args:
            path: of the table.
            title: what the table is of, for messages.
        """
        before = len(self.problems)
        fields = {field.name: field for field in attrs.fields(options)}
        for name in table.keys() - fields.keys():
            self.complain(
                f"{title} has no option {name!r}",
                path=(*path, name),
                remedy=nearest(name, fields) if fields else "leave it out: there are no options",
            )
        values = {}
        for name, field in fields.items():
            if name in table:
                values[name] = self._value(options, field, table[name], path=(*path, name))
            elif field.default is attrs.NOTHING:
                self.complain(
                    f"{title} needs the option {name!r}",
                    path=path,
                    remedy=_how_to_add(options, field, path=path),
                )
        if len(self.problems) > before:
            return None
        try:
            return options(**values)
        except Exception as error:  # noqa: BLE001 - a stranger's validator may raise anything
            self.complain(f"{title} refuses its options: {error}", path=path)
            return None

    def _is_of_missing(self, name: str) -> bool:
        """Whether a component that is not there is one of a package that is required and missing.

        By convention the package of the namespace `mixer` is called mixer or dddm-mixer.
        """
        namespace = name.partition(":")[0]
        return not self.missing.isdisjoint({namespace, f"dddm-{namespace}"})

    def _value(
        self, options: type[Any], field: "attrs.Attribute[Any]", value: Any, *, path: Path
    ) -> Any:
        if "kind" in field.metadata:
            return self._part(field, value, path=path)
        try:
            converted = convert(value, hints_of(options)[field.name])
            check_bounds(converted, field.metadata["bounds"])
        except ValueError as error:
            self.complain(
                f"{field.name}: {error}",
                path=path,
                remedy=f"write {_described(options, field)}.  {field.metadata['help']}",
                at_value=True,
            )
            return None
        return converted

    def _part(
        self, field: "attrs.Attribute[Any]", value: Any, *, path: Path
    ) -> ComponentConfig | None:
        kind: Kind = field.metadata["kind"]
        if isinstance(value, dict):
            return self.use(kind, value, path=path)
        self.complain(
            f"{field.name} holds a {kind.value}, which is a table",
            path=path,
            remedy=f'write [{".".join(map(str, path))}] and under it use = "…"',
            at_value=True,
        )
        return None


def _described(options: type[Any], field: "attrs.Attribute[Any]") -> str:
    return describe_bounded(hints_of(options)[field.name], field.metadata["bounds"])


def _how_to_add(options: type[Any], field: "attrs.Attribute[Any]", *, path: Path) -> str:
    if "kind" in field.metadata:
        shown = ".".join(map(str, (*path, field.name)))
        return f'add [{shown}] and under it use = "…": {field.metadata["help"]}'
    shown = _described(options, field)
    return f"add {field.name} = …, {shown}: {field.metadata['help']}"
