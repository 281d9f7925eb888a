"""Reads tables into options and components, and collects everything that is wrong with them."""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, final, get_type_hints

import attrs

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.recipe.locate import Path
from dddm.recipe.merge import Node
from dddm.recipe.model import ComponentConfig
from dddm.recipe.source import Problem, nearest
from dddm.recipe.surveys import Surveys
from dddm.registry.catalogue import Catalogue
from dddm.registry.option_types import check_bounds, convert, describe_type, not_none

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


@final
class Reader:
    """Reads merged tables.

    Attributes:
        tables: as plain values.
        problems: found so far.
        components: read so far, with the paths of their tables.
        surveys: of the files of data sets.
        missing: normalised names of required packages that are not installed.
        incomplete: whether tables may be missing that could not be chosen because of a problem.
    """

    def __init__(self, root: Node, catalogue: Catalogue, surveys: Surveys | None = None) -> None:
        self.replace(root)
        self.catalogue = catalogue
        self.surveys = surveys or Surveys()
        self.problems: list[Problem] = []
        self.components: list[tuple[Path, ComponentConfig]] = []
        self.missing: set[str] = set()
        self.incomplete = False

    def replace(self, root: Node) -> None:
        """Continue with other tables: those that a preset is merged into."""
        self.root = root
        self.tables: dict[str, Any] = root.plain()

    def add_problem(
        self,
        what: str,
        *,
        path: Path,
        remedy: str | None = None,
        of_plugin: bool = False,
        of_data: bool = False,
        at_value: bool = False,
    ) -> None:
        """Add a problem with what is at `path`, or with the table around it if nothing is."""
        node, found = self.root.find(path)
        self.problems.append(
            Problem(
                what=what,
                remedy=remedy,
                origin=node.origin,
                of_plugin=of_plugin,
                of_data=of_data,
                at_value=at_value and (found or not isinstance(node.value, dict)),
            )
        )

    def ask(
        self,
        path: Path,
        ask: Callable[Arguments, Answer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Answer | None:
        """`ask(...)` of a component at `path`; None, with a problem, if its plugin fails."""
        try:
            return ask(*args, **kwargs)
        except PluginError as error:
            if not any(one.what == error.what for one in self.problems):
                self.add_problem(error.what, path=path, remedy=error.remedy, of_plugin=True)
            return None

    def table(self, name: str) -> dict[str, Any] | None:
        """A top-level table; None, with a problem, if it is missing or not a table."""
        value = self.tables.get(name)
        if isinstance(value, dict):
            return value
        what = f"the table [{name}] is missing" if value is None else f"{name} must be a table"
        path = () if value is None else (name,)
        self.add_problem(
            what, path=path, remedy=f"add [{name}]" if value is None else f"write [{name}]"
        )
        return None

    def array(self, name: str) -> list[dict[str, Any]]:
        """A top-level array of tables; empty if missing or, with a problem, something else."""
        value = self.tables.get(name, [])
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return value
        self.add_problem(
            f"{name} must be an array of tables", path=(name,), remedy=f"write [[{name}]]"
        )
        return []

    def component(
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
            kind: of the component.
            table: with `use` and options.
            path: of the table.
            reserved: keys of the table that are not options of the component.
            default: the component to use if the table names none.
        """
        name = table.get("use", default)
        if not isinstance(name, str):
            names = ", ".join(c.name for c in self.catalogue.components(kind))
            self.add_problem(
                f"[{_dotted(path)}] does not say which {kind.value} to use",
                path=(*path, "use") if "use" in table else path,
                remedy=f'write use = "…", one of {names}'
                if names
                else f"install a plugin that has a {kind.value}",
            )
            return None
        try:
            component = self.catalogue.find(kind, name)
        except PluginError as error:
            if not self._is_of_missing(name):
                self.add_problem(
                    error.what,
                    path=(*path, "use"),
                    remedy=error.remedy,
                    of_plugin=True,
                    at_value=True,
                )
            return None
        own = {key: value for key, value in table.items() if key != "use" and key not in reserved}
        title = f"the {kind.value} {component.name}"
        if self.root.find((*path, "use"))[0].origin.words.startswith("default"):
            title += ", which was chosen as the recipe names none,"
        options = self.options(component.options, own, path=path, title=title)
        if options is None:
            return None
        config = ComponentConfig(component=component, options=options)
        self.components.append((path, config))
        return config

    def options(
        self, options: type[Any], table: Mapping[str, Any], *, path: Path, title: str
    ) -> Any | None:
        """An instance of `options` from `table`; None, with problems, if anything is wrong.

        Args:
            options: the attrs class.
            table: without `use`.
            path: of the table.
            title: names the table's owner in messages.
        """
        before = len(self.problems)
        fields, hints = attrs.fields_dict(options), get_type_hints(options)
        for name in table.keys() - fields.keys():
            self.add_problem(
                f"{title} has no option {name!r}",
                path=(*path, name),
                remedy=nearest(name, fields) if fields else "remove it: there are no options",
            )
        values = {}
        for name, field in fields.items():
            if name in table:
                values[name] = self._value(field, hints[name], table[name], path=(*path, name))
            elif field.default is attrs.NOTHING:
                self.add_problem(
                    f"{title} needs the option {name!r}",
                    path=path,
                    remedy=_how_to_add(field, hints[name], path=path),
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

    def _value(self, field: "attrs.Attribute[Any]", hint: Any, value: Any, *, path: Path) -> Any:
        kind = field.metadata.get("kind")
        if kind is not None:
            if isinstance(value, dict):
                return self.component(kind, value, path=path)
            what = f"{field.name} must be a table that uses a {kind.value}"
            remedy = f'write [{_dotted(path)}] and under it use = "…"'
            self.add_problem(what, path=path, remedy=remedy, at_value=True)
            return None
        if not_none(hint) is str and not isinstance(value, str):
            value = self.root.find(path)[0].words or value  # as in --set data.path=2024
        try:
            converted = convert(value, hint)
            check_bounds(converted, field.metadata["bounds"])
        except ValueError as error:
            expected = describe_type(hint, field.metadata["bounds"])
            self.add_problem(
                f"{field.name}: {error}",
                path=path,
                remedy=f"write {expected}.  {field.metadata['help']}",
                at_value=True,
            )
            return None
        return converted


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _how_to_add(field: "attrs.Attribute[Any]", hint: Any, *, path: Path) -> str:
    help_text = field.metadata["help"]
    if "kind" in field.metadata:
        return f'add [{_dotted((*path, field.name))}] and under it use = "…": {help_text}'
    return f"add {field.name} = …, {describe_type(hint, field.metadata['bounds'])}: {help_text}"
