"""A component with one example of its options, and how the checks build it."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar, final, get_args, get_origin, get_type_hints

import attrs
import pytest

from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Issue, Kind, RecipeContext
from dddm.interfaces.schedule import Schedule
from dddm.recipe.layout import COMPONENT_TABLES
from dddm.recipe.merge import Node
from dddm.recipe.model import ComponentConfig
from dddm.recipe.reader import Reader
from dddm.recipe.write import inline
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.support.weights import find_weights
from dddm.testing.offline import offline
from dddm.testing.toys import PATHS, parameters_of_every_shape

Facts = TypeVar("Facts")


@final
class Subject:
    """A component with one example of its options.

    Args:
        interface: that its kind implements.
        table: the example, as a recipe writes it, without `use`.
        given: whether the caller chose the example.  Then its files must exist; files of a
            registered example, such as weights, may be missing on this machine.

    Attributes:
        broken: name of a failed basis check, or None.
    """

    def __init__(
        self,
        component: Component,
        *,
        interface: type[Any],
        catalogue: Catalogue,
        table: Mapping[str, Any],
        given: bool = False,
    ) -> None:
        self.component = component
        self.interface = interface
        self.catalogue = catalogue
        self.table = dict(table)
        self.given = given
        self.broken: str | None = None

    @property
    def example(self) -> str:
        """The example as text: `c=0.1`, or `defaults`."""
        return _in_words(self.table) or "defaults"

    @property
    def shapes(self) -> tuple[ImageShape, ...]:
        """Shapes of the test images."""
        return self.component.conformance.shapes

    @property
    def classes(self) -> int:
        """Number of classes of the test images."""
        return self.component.conformance.classes

    def read(self, table: Mapping[str, Any]) -> ComponentConfig:
        """The component with the options of `table`.

        Raises:
            ValueError: lists every error in the table.
        """
        reader = Reader(Node.from_words({**table, "use": self.component.id}), self.catalogue)
        use = reader.component(self.component.kind, reader.tables, path=())
        if use is None:
            raise ValueError("; ".join(problem.what for problem in reader.problems))
        return use

    @cached_property
    def use(self) -> ComponentConfig:
        """The component with the example's options; skips the check if they cannot be read."""
        try:
            return self.read(self.table)
        except ValueError:
            pytest.skip("its example cannot be read: see options.read")

    def facts(self, of: type[Facts]) -> Facts | None:
        """Its info with these options, if it has any."""
        return self.component.info(of, self.use.options)

    def issues(self, shape: ImageShape) -> list[Issue]:
        """Issues that its `check` finds, in a recipe for images of `shape`."""
        if self.component.check is None:
            return []
        names = tuple(str(label) for label in range(self.classes))
        facts = DatasetInfo(shape=shape, train_images=1000, classes=names)
        tables: dict[str, Any] = {name: {} for name in (*COMPONENT_TABLES, "train")}
        context = RecipeContext(data=facts, tables=tables)
        return list(self.component.check(self.use.options, context))

    @cached_property
    def _missing_weights(self) -> str | None:
        for use in self.use.with_nested():
            for file in use.component.weights_for(use.options):
                try:
                    find_weights(file)
                except (DataError, EnvironmentProblem):
                    return file.name
        return None

    def variations(self) -> Iterator["Subject"]:
        """The same with one option changed, for each option and each value that is accepted."""
        options = self.use.options
        for field in attrs.fields(type(options)):
            for value in _other_values(
                get_type_hints(type(options))[field.name], getattr(options, field.name)
            ):
                other = Subject(
                    self.component,
                    interface=self.interface,
                    catalogue=self.catalogue,
                    table={**self.table, field.name: value},
                )
                try:
                    other.read(other.table)
                except ValueError:
                    continue
                if not any(other.issues(shape) for shape in self.shapes):
                    yield other

    def build(
        self,
        *,
        shape: ImageShape | None = None,
        folder: Path | None = None,
        schedule: Schedule | None = None,
    ) -> Any:
        """Build the component; skips the check if weights or files are missing.

        Args:
            shape: of images, for a backbone; None for the first.
            folder: of a run, for an observer, which needs one.
            schedule: for a parametrization; None for a toy.

        Raises:
            Exception: whatever the component raises.
        """
        if self._missing_weights is not None:
            pytest.skip(f"the weights {self._missing_weights} are missing")
        arguments: dict[Kind, dict[str, Any]] = {
            Kind.BACKBONE: {"shape": shape or self.shapes[0], "classes": self.classes},
            Kind.OBSERVER: {"folder": folder},
            Kind.OPTIMIZER: {"parameters": parameters_of_every_shape(), "learning_rate": 1e-3},
            Kind.PARAMETRIZATION: {"schedule": schedule or PATHS[0]},
        }
        with self.absent_files_skip():
            return self.use.instantiate(**arguments.get(self.component.kind, {}))

    @contextmanager
    def built(self) -> Iterator[Any]:
        """The built component; an observer in a temporary folder, offline, and closed."""
        if self.component.kind is not Kind.OBSERVER:
            yield self.build()
            return
        with tempfile.TemporaryDirectory() as folder, chdir(folder), offline(Path(folder)):
            observer = self.build(folder=Path(folder))
            try:
                yield observer
            finally:
                observer.close()

    @contextmanager
    def absent_files_skip(self) -> Iterator[None]:
        """Skip the check if files or packages are missing, unless the example was `given`."""
        try:
            yield
        except (DataError, EnvironmentProblem) as error:
            if self.given:
                raise
            pytest.skip(f"what it needs is missing: {error.what}")

    def make(self, **more: Any) -> Any:
        """As `build`, but skips the check if the component cannot be built."""
        try:
            return self.build(**more)
        except Exception:  # noqa: BLE001 - the component may raise anything
            pytest.skip("it cannot be built: see component.builds")

    @property
    def made(self) -> Any:
        """The component, built once and shared by checks that do not modify it."""
        return _made(self)


def _other_values(hint: Any, value: Any) -> list[Any]:
    """Values of an option beside its own; none for text, files and nested components."""
    if get_origin(hint) is Literal:
        return [one for one in get_args(hint) if one != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, 2 * value]
    if isinstance(value, float):
        return [0.5 * value, 2 * value, value + 0.25]
    return []


# One at a time: the network of a perceptual metric takes half a gigabyte.
@lru_cache(maxsize=1)
def _made(subject: Subject) -> Any:
    return subject.make()


def _in_words(table: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={{{_in_words(v)}}}" if isinstance(v, Mapping) else f"{name}={inline(v)}"
        for name, v in table.items()
    )
