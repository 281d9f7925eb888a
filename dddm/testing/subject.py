"""What is tried: a component with one example of its options, and what is made of it."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, final

from dddm.errors import DataError, EnvironmentProblem, PluginError
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.observer import Observer
from dddm.interfaces.plugin import Issue, Kind, RecipeContext
from dddm.interfaces.schedule import Schedule
from dddm.recipe.layout import COMPONENT_TABLES
from dddm.recipe.merge import Node
from dddm.recipe.model import ComponentConfig, plain
from dddm.recipe.reader import Reader
from dddm.recipe.write import inline
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.registry.registrar import namespace_of
from dddm.support.weights import find_weights
from dddm.testing.plain_paths import PATHS


@final
class LeftOut(Exception):
    """A check cannot be tried here, and why."""


@final
class Subject:
    """A component with one example of its options.

    Args:
        component: that is tried.
        catalogue: in which the parts of its options are found.
        table: the example, as a recipe writes it, without `use`.
        given: whether the caller chose the example.  Then all that it names must be there; what
            a registration names, such as weights, may be absent from this machine.

    Attributes:
        fault: name of the check that failed and on which others stand; None while there is none.
    """

    def __init__(
        self,
        component: Component,
        *,
        catalogue: Catalogue,
        table: Mapping[str, Any],
        given: bool = False,
    ) -> None:
        self.component = component
        self.catalogue = catalogue
        self.table = dict(table)
        self.given = given
        self.fault: str | None = None

    @property
    def label(self) -> str:
        """What the example says, and nothing that it does not say."""
        return _in_words(self.table) or "defaults"

    @property
    def shapes(self) -> tuple[ImageShape, ...]:
        """Of the images that it is tried with."""
        return self.component.conformance.shapes

    @property
    def classes(self) -> int:
        """How many classes these images have."""
        return self.component.conformance.classes

    def read(self, table: Mapping[str, Any]) -> ComponentConfig:
        """The component with the options that `table` says.

        Raises:
            ValueError: with all that is wrong with the table.
        """
        reader = Reader(Node.from_words({**table, "use": self.component.id}), self.catalogue)
        use = reader.use(self.component.kind, reader.tables, path=())
        if use is None:
            raise ValueError("; ".join(problem.what for problem in reader.problems))
        return use

    @cached_property
    def use(self) -> ComponentConfig:
        """The component with the example's options.

        Raises:
            LeftOut: if the example cannot be read.
        """
        try:
            return self.read(self.table)
        except ValueError as error:
            raise LeftOut("its example cannot be read: see options.read") from error

    def issues(self, shape: ImageShape) -> list[Issue]:
        """What the component's own check finds, in a recipe for images of `shape`."""
        if self.component.check is None:
            return []
        names = tuple(str(label) for label in range(self.classes))
        facts = DatasetInfo(shape=shape, train_images=1000, classes=names)
        tables: dict[str, Any] = {name: {} for name in (*COMPONENT_TABLES, "train")}
        context = RecipeContext(data=facts, tables=tables)
        return list(self.component.check(self.use.options, context))

    @cached_property
    def _missing(self) -> str | None:
        """What it needs and is not on this machine."""
        for use in self.use.with_nested():
            for file in use.component.weights_for(use.options):
                try:
                    find_weights(file)
                except (DataError, EnvironmentProblem):
                    return f"the weights {file.name} are not here"
        return None

    def build(
        self,
        *,
        shape: ImageShape | None = None,
        folder: Path | None = None,
        schedule: Schedule | None = None,
    ) -> Any:
        """Make the component anew.

        Args:
            shape: of images, for a backbone; None for the first.
            folder: of a run, for an observer, which needs one.
            schedule: for a parametrization; None for a plain one.

        Raises:
            LeftOut: if what it needs is not on this machine.
            Exception: whatever the component raises.
        """
        if self._missing is not None:
            raise LeftOut(self._missing)
        more: dict[str, Any] = {}
        if self.component.kind is Kind.BACKBONE:
            more = {"shape": shape or self.shapes[0], "classes": self.classes}
        elif self.component.kind is Kind.OBSERVER:
            assert folder is not None, "an observer may write into its folder"
            more = {"folder": folder}
        elif self.component.kind is Kind.OPTIMIZER:
            from dddm.testing.parameters import parameters_of_every_kind

            more = {"parameters": parameters_of_every_kind(), "learning_rate": 1e-3}
        elif self.component.kind is Kind.PARAMETRIZATION:
            more = {"schedule": PATHS[0] if schedule is None else schedule}
        with self.needing_what_may_be_absent():
            return self.use.instantiate(**more)

    @contextmanager
    def built(self) -> Iterator[Any]:
        """The component, as `build` makes it; an observer in a folder of its own, and closed."""
        if self.component.kind is not Kind.OBSERVER:
            yield self.build()
            return
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            observer: Observer = self.build(folder=Path(folder))
            try:
                yield observer
            finally:
                observer.close()

    def needing_what_may_be_absent(self) -> "_Absent":
        """Inside, files or packages that are absent lead to `LeftOut`, unless `given`."""
        return _Absent(excused=not self.given)

    def make(self, *, shape: ImageShape | None = None, folder: Path | None = None) -> Any:
        """As `build`, for checks to which it matters only that there is a component.

        Raises:
            LeftOut: if it cannot be built.
        """
        try:
            return self.build(shape=shape, folder=folder)
        except LeftOut:
            raise
        except Exception as error:
            raise LeftOut("it cannot be built: see component.builds") from error

    @property
    def made(self) -> Any:
        """The component, made once for many checks, which leave it as it is."""
        return _made(self)

    def plain_options(self) -> dict[str, Any]:
        """All options as a recipe's table holds them."""
        return plain(self.use.options)


@final
class _Absent:
    """See `Subject.needing_what_may_be_absent`."""

    def __init__(self, *, excused: bool) -> None:
        self._excused = excused

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._excused and isinstance(error, DataError | EnvironmentProblem):
            raise LeftOut(f"what it needs is not here: {error.what}") from error


# Of one subject at a time: the network of a perceptual metric takes half a gigabyte.
@lru_cache(maxsize=1)
def _made(subject: Subject) -> Any:
    return subject.make()


def _in_words(table: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value_in_words(value)}" for name, value in table.items())


def _value_in_words(value: Any) -> str:
    return f"{{{_in_words(value)}}}" if isinstance(value, Mapping) else inline(value)


def subjects_of(
    component: Component,
    *,
    catalogue: Catalogue,
    examples: tuple[Mapping[str, Any], ...] | None = None,
) -> list[Subject]:
    """One subject for each example: those given, else those declared, else the defaults."""
    given = examples is not None
    tables = examples if examples is not None else component.conformance.examples
    return [
        Subject(component, catalogue=catalogue, table=table, given=given)
        for table in tables or ({},)
    ]


def find_components(
    catalogue: Catalogue, name: str, *, kind: Kind | None = None
) -> tuple[Component, ...]:
    """Components by id or name, or all of a namespace, an entry point or a distribution.

    Raises:
        PluginError: if there is none; with the nearest names, or why its plugin failed to load.
    """
    found = tuple(
        c
        for c in catalogue.components(kind)
        if name in {c.id, c.name, c.namespace, c.plugin, c.package}
    )
    if found:
        return found
    for plugin in catalogue.plugins:
        names = {plugin.name, namespace_of(plugin.name), plugin.package}
        if plugin.error is not None and name in names:
            raise PluginError(
                f"the plugin {plugin.title} failed to load: {plugin.error.what}",
                where=plugin.error.where,
                remedy=plugin.error.remedy,
            )
    if kind is not None:
        return (catalogue.find(kind, name),)
    try:
        return catalogue.named(name)
    except PluginError as error:
        error.remedy = f"{error.remedy}; a namespace or a distribution will do too"
        raise
