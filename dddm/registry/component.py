"""One registered component."""

import difflib
import importlib
from types import ModuleType
from typing import Any, TypeVar, final

from attrs import field, frozen

from dddm.errors import PluginError
from dddm.interfaces.plugin import (
    API_VERSION,
    DEFAULT_CONFORMANCE,
    Check,
    Conformance,
    Describe,
    Kind,
    Needs,
    WeightFile,
)
from dddm.registry.tracebacks import line_in_package, summarize, top_package

Known = TypeVar("Known")


@final
@frozen(kw_only=True)
class Component:
    """A component as its plugin registered it; its class is imported when it is first used.

    Attributes:
        namespace: of the plugin; a full id is `namespace:name`.
        plugin: name of the entry point that declared it.
        package: the distribution that ships it, with its version.
        api: first and last version of the plugin interface that it was written for.
    """

    kind: Kind
    name: str
    namespace: str
    target: str
    options: type[Any]
    summary: str
    plugin: str
    package: str
    version: str
    api: tuple[int, int] = (API_VERSION, API_VERSION)
    check: Check | None = None
    describe: Describe | None = None
    weights: tuple[WeightFile, ...] = ()
    needs: Needs | None = None
    default: bool = False
    conformance: Conformance = field(default=DEFAULT_CONFORMANCE, eq=False)

    @property
    def id(self) -> str:
        """`namespace:name`."""
        return f"{self.namespace}:{self.name}"

    @property
    def title(self) -> str:
        """Its id and package, as messages name it."""
        return f"{self.id} of {self.package} {self.version}"

    @property
    def place(self) -> str:
        """Its target and package, as the location of an error."""
        return f"{self.target} of {self.package} {self.version}"

    def weights_for(self, options: Any) -> tuple[WeightFile, ...]:
        """The weight files that it needs with these options.

        Raises:
            PluginError: if its `needs` fails.
        """
        if self.needs is None:
            return self.weights
        try:
            return tuple(self.needs(options))
        except Exception as error:
            raise PluginError(
                f"{self.id} failed to list the weights it needs: {summarize(error)}",
                remedy=f"report this to the authors of {self.package}",
            ) from error

    def info(self, of: type[Known], options: Any) -> Known | None:
        """What `describe` returns for an instance of its options class; None where it is unknown.

        Args:
            of: the info class of its kind.

        Raises:
            PluginError: if `describe` fails, or returns something else.
        """
        if self.describe is None:
            return None
        try:
            said = self.describe(options)
        except Exception as error:
            raise PluginError(
                f"{self.id} failed to describe itself: {summarize(error)}",
                remedy=f"report this to the authors of {self.package}",
            ) from error
        if said is not None and not isinstance(said, of):
            raise PluginError(
                f"{self.id} describes itself as {type(said).__name__} instead of {of.__name__}",
                remedy=f"report this to the authors of {self.package}",
            )
        return said

    def load(self) -> Any:
        """Import and return the component's class.

        Raises:
            PluginError: if its module cannot be imported or has no such class.
        """
        module_name, _, class_name = self.target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            line = line_in_package(error, top_package(self.target))
            raise PluginError(
                f"the {self.kind.value} {self.id} cannot be loaded: {summarize(error)}",
                where=self.place if line is None else f"{line}, {self.place}",
                remedy=f"reinstall or update {self.package}, or choose another {self.kind.value}",
            ) from error
        try:
            return getattr(module, class_name)
        except AttributeError as error:
            raise PluginError(
                f"the {self.kind.value} {self.id} cannot be loaded: {module_name} has no "
                f"{class_name}",
                where=self.place,
                remedy=_near(class_name, module)
                or f"reinstall or update {self.package}, or choose another {self.kind.value}",
            ) from error


def _near(name: str, module: ModuleType) -> str | None:
    names = [known for known in vars(module) if not known.startswith("_")]
    folded = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    if not close:
        return None
    return f"{module.__name__} has {folded[close[0]]}; did you mean that?"
