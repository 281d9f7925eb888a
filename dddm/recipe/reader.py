"""Reads tables into options and components, and collects everything that is wrong with them."""

from collections.abc import Mapping
from typing import Any, final, get_type_hints

import attrs

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.recipe.locate import Path
from dddm.recipe.merge import Node
from dddm.recipe.model import ComponentConfig
from dddm.recipe.problems import Problem, nearest
from dddm.registry.catalogue import Catalogue
from dddm.registry.option_types import check_bounds, convert, describe_type


@final
class Reader:
    """Reads merged tables.

    Attributes:
        tables: as plain values.
        problems: found so far.
        uses: components read so far, with the paths of their tables.
        missing: normalised names of required packages that are not installed.
    """

    def __init__(self, root: Node, catalogue: Catalogue) -> None:
        self.replace(root)
        self.catalogue = catalogue
        self.problems: list[Problem] = []
        self.uses: list[tuple[Path, ComponentConfig]] = []
        self.missing: set[str] = set()

    def replace(self, root: Node) -> None:
        """Go on with other tables: a preset is laid below `[evaluate]` while it is read."""
        self.root = root
        self.tables: dict[str, Any] = root.plain()

    def add_problem(
        self,
        what: str,
        *,
        path: Path,
        remedy: str | None = None,
        of_plugin: bool = False,
        at_value: bool = False,
    ) -> None:
        """Note a problem with what is at `path`, or with the table around it if nothing is."""
        node, found = self.root.find(path)
        self.problems.append(
            Problem(
                what=what,
                remedy=remedy,
                origin=node.origin,
                of_plugin=of_plugin,
                at_value=at_value and (found or not isinstance(node.value, dict)),
            )
        )

    def table(self, name: str) -> dict[str, Any] | None:
        """A top-level table; None, with a problem, if it is missing or not a table."""
        value = self.tables.get(name)
        if value is None:
            self.add_problem(f"the table [{name}] is missing", path=(), remedy=f"add [{name}]")
            return None
        if not isinstance(value, dict):
            self.add_problem(f"{name} must be a table", path=(name,), remedy=f"write [{name}]")
            return None
        return value

    def array(self, name: str) -> list[dict[str, Any]]:
        """A top-level array of tables; empty if missing or, with a problem, something else."""
        value = self.tables.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.add_problem(
                f"{name} must be an array of tables", path=(name,), remedy=f"write [[{name}]]"
            )
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
        """The component that `table` uses; None, with problems, if anything is wrong.

        Args:
            path: of the table.
            reserved: keys of the table that are not options of the component.
            default: the component to use if the table names none.
        """
        name = table.get("use", default)
        if not isinstance(name, str):
            names = ", ".join(c.name for c in self.catalogue.components(kind))
            self.add_problem(
                f"[{_dotted(path)}] must say which {kind.value} to use",
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
            self.add_problem(
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
        """An instance of `options` from `table`; None, with problems, if anything is wrong.

        Args:
            path: of the table.
            title: names the table's owner in messages.
        """
        before = len(self.problems)
        fields = {field.name: field for field in attrs.fields(options)}
        for name in table.keys() - fields.keys():
            self.add_problem(
                f"{title} has no option {name!r}",
                path=(*path, name),
                remedy=nearest(name, fields) if fields else "leave it out: it has no options",
            )
        values = {}
        for name, field in fields.items():
            if name in table:
                values[name] = self._value(options, field, table[name], path=(*path, name))
            elif field.default is attrs.NOTHING:
                self.add_problem(
                    f"{title} needs the option {name!r}",
                    path=path,
                    remedy=_how_to_add(options, field, path=path),
                )
        if len(self.problems) > before:
            return None
        try:
            return options(**values)
        except Exception as error:  # noqa: BLE001 - a plugin's validator may raise anything
            self.add_problem(f"{title} rejects its options: {error}", path=path)
            return None

    def _is_of_missing(self, name: str) -> bool:
        """Whether a component belongs to a required package that is not installed.

        By convention the namespace `mixer` belongs to the package mixer or dddm-mixer.
        """
        namespace = name.partition(":")[0]
        return not self.missing.isdisjoint({namespace, f"dddm-{namespace}"})

    def _value(
        self, options: type[Any], field: "attrs.Attribute[Any]", value: Any, *, path: Path
    ) -> Any:
        if "kind" in field.metadata:
            if isinstance(value, dict):
                return self.use(field.metadata["kind"], value, path=path)
            self.add_problem(
                f"{field.name} holds a {field.metadata['kind'].value}, which is a table",
                path=path,
                remedy=f'write [{_dotted(path)}] and under it use = "…"',
                at_value=True,
            )
            return None
        try:
            converted = convert(value, get_type_hints(options)[field.name])
            check_bounds(converted, field.metadata["bounds"])
        except ValueError as error:
            self.add_problem(
                f"{field.name}: {error}",
                path=path,
                remedy=f"write {_described(options, field)}.  {field.metadata['help']}",
                at_value=True,
            )
            return None
        return converted


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _described(options: type[Any], field: "attrs.Attribute[Any]") -> str:
    return describe_type(get_type_hints(options)[field.name], field.metadata["bounds"])


def _how_to_add(options: type[Any], field: "attrs.Attribute[Any]", *, path: Path) -> str:
    if "kind" in field.metadata:
        shown = _dotted((*path, field.name))
        return f'add [{shown}] and under it use = "…": {field.metadata["help"]}'
    return f"add {field.name} = …, {_described(options, field)}: {field.metadata['help']}"
