"""A registered component: importing and creating it, and which one an exception comes from."""

import difflib
import importlib
import re
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, TypeVar, final

from attrs import field, frozen

from dddm.errors import PluginError
from dddm.interfaces.plugin import (
    API_VERSION,
    DEFAULT_CONFORMANCE,
    Check,
    Conformance,
    DataSurvey,
    Describe,
    Kind,
    Needs,
    Survey,
    WeightFile,
)
from dddm.registry.tracebacks import line_in_package, summarize, top_package

Known = TypeVar("Known")

_third_party: Final[dict[str, "Component"]] = {}
"""Components of other packages that this process has created, by kind and id."""


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
    survey: Survey | None = None
    default: bool = False
    conformance: Conformance = field(default=DEFAULT_CONFORMANCE, eq=False)

    @property
    def id(self) -> str:
        """`namespace:name`."""
        return f"{self.namespace}:{self.name}"

    @property
    def is_builtin(self) -> bool:
        """Whether it comes with dddm."""
        return self.package == "dddm"

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

    def look(self, options: Any) -> DataSurvey | None:
        """What its `survey` finds; None where it has none.

        Raises:
            PluginError: if `survey` fails.
        """
        if self.survey is None:
            return None
        try:
            return self.survey(options)
        except Exception as error:
            raise PluginError(
                f"{self.id} failed to look at its files: {summarize(error)}",
                remedy=f"report this to the authors of {self.package}",
            ) from error

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

    def instantiate(self, options: Any, **more: Any) -> Any:
        """Import its class and call it: `target(options, **more)`.

        Raises:
            PluginError: if it cannot be imported, or does not take these arguments.
        """
        if not self.is_builtin:
            _third_party[f"{self.kind.value} {self.id}"] = self
        target = self.load()
        try:
            return target(options, **more)
        except TypeError as error:
            in_our_call = error.__traceback__ is not None and error.__traceback__.tb_next is None
            if self.is_builtin or not in_our_call:
                raise
            raise PluginError(
                f"the {self.kind.value} {self.id} cannot be created: {summarize(error)}",
                where=self.place,
                remedy=f"dddm plugin test {self.id}",
            ) from error


def _near(name: str, module: ModuleType) -> str | None:
    names = [known for known in vars(module) if not known.startswith("_")]
    folded = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    if not close:
        return None
    return f"{module.__name__} has {folded[close[0]]}; did you mean that?"


def attribute_error(error: BaseException) -> PluginError | None:
    """The plugin's error that an exception is; None where it comes from no plugin's code.

    It is a plugin's if a function of the plugin's package is on the traceback, or if one could not
    be called with the arguments of its interface.
    """
    for name, function in _calls(error):
        candidates = [c for c in _third_party.values() if top_package(c.target) == name]
        if not candidates:
            continue
        qualified = f"{function}."
        component = next(
            (c for c in candidates if qualified.startswith(f"{c.target.partition(':')[2]}.")),
            candidates[0],
        )
        place = line_in_package(error, name)
        return PluginError(
            f"the {component.kind.value} {component.id} failed in "
            f"{function.rpartition('.')[2]}: {summarize(error)}",
            where=component.place
            if place is None
            else f"{place}, {component.package} {component.version}",
            remedy=f"dddm plugin test {component.id}",
        )
    return None


def _calls(error: BaseException) -> Iterator[tuple[str, str]]:
    """Top package and qualified name of the functions on a traceback, the innermost first.

    Before them comes a method that could not be called, which Python names in the message alone:
    `Mixer.forward() got an unexpected keyword argument 'estimate'`.
    """
    uncalled = re.match(r"(\w+)\.\w+(?=\(\) )", str(error))
    if isinstance(error, TypeError) and uncalled is not None:
        for component in _third_party.values():
            if component.target.partition(":")[2] == uncalled[1]:
                yield top_package(component.target), uncalled[0]
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        yield top_package(frame.f_globals.get("__name__", "")), frame.f_code.co_qualname
