"""How a package registers components with dddm.  Imports no torch.

A package declares an entry point in group `dddm`.  Its name is the namespace; its value is a module
that imports no torch and implements one hook:

    from attrs import frozen
    from dddm.interfaces.plugin import Kind, Registrar, hookimpl, option

    @frozen(kw_only=True)
    class CharbonnierOptions:
        eps: float = option(1e-3, above=0, help="How far from zero the corner is rounded off.")

    @hookimpl
    def dddm_register(registrar: Registrar) -> None:
        registrar.add(
            Kind.METRIC,
            "charbonnier",
            target="dddm_charbonnier.metric:Charbonnier",
            options=CharbonnierOptions,
            summary="√(d² + ε²), averaged over pixels.",
        )

The target is a string, so that listing, checking and documenting a component never imports torch.
The interface file of each kind says how its target is called; options always come first.

`dddm plugin test NAME` tests a component against its interface, with the options that its
registration gives as examples: `conformance=Conformance(examples=({"eps": 1e-2},))`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar, final

import attrs
import pluggy

from dddm.interfaces.info import ComponentInfo, DatasetInfo, ImageShape
from dddm.support.weights import WeightFile as WeightFile  # noqa: PLC0414 - part of this interface

Info = TypeVar("Info")

API_VERSION: Final = 1
"""The version of this interface.  It rises when a plugin for the previous one could break."""

hookimpl: Final = pluggy.HookimplMarker("dddm")


@final
class Kind(Enum):
    """The kinds of component; the value is the name in recipes, messages and commands."""

    OBJECTIVE = "objective"
    SCHEDULE = "schedule"
    PARAMETRIZATION = "parametrization"
    BACKBONE = "backbone"
    METRIC = "metric"
    TARGET_STORE = "target-store"
    OPTIMIZER = "optimizer"
    LEARNING_RATE = "learning-rate"
    DATASET = "dataset"
    SAMPLER = "sampler"
    FEATURES = "features"
    SCORE = "score"
    OBSERVER = "observer"


@final
@attrs.frozen(kw_only=True)
class RecipeContext:
    """The rest of the recipe, for a component's check of its options.

    Attributes:
        data: None if it is known only once the files are read.
        tables: the recipe's merged tables as plain values, by table name.
    """

    data: DatasetInfo | None
    tables: Mapping[str, Any]


@final
@attrs.frozen(kw_only=True)
class Issue:
    """An error in one of a component's options, found by its check.

    Attributes:
        option: name of the option to change.
        what: what is wrong with it.
        remedy: what to write instead.
    """

    option: str
    what: str
    remedy: str | None = None


@final
@attrs.frozen(kw_only=True)
class DataSurvey:
    """What a quick look at the files of a data set finds, without decoding every image.

    Attributes:
        info: None if the files cannot be used.
        looked_at: what was read, as `listed 3,200 images, read the headers of 256`.
        issues: what is wrong with the files, each with the option to change.
    """

    info: DatasetInfo | None
    looked_at: str
    issues: tuple[Issue, ...] = ()


class NestedComponent(ABC):
    """A component used by another one: the value of an option made with `nested_component`.

    Attributes:
        options: an instance of its options class.
    """

    options: Any

    @abstractmethod
    def instantiate(self, **more: Any) -> Any:
        """Import its target and call it: `target(options, **more)`.

        Raises:
            PluginError: if it cannot be imported.
        """

    @abstractmethod
    def info(self, of: type[Info]) -> Info | None:
        """Its info, of its kind's class in `dddm.interfaces.info`; None if it says nothing.

        Raises:
            PluginError: if its registration's `describe` fails.
        """


Check = Callable[[Any, RecipeContext], Iterable[Issue]]
"""Checks options (an instance of the component's options class) against the rest of the recipe."""

Describe = Callable[[Any], ComponentInfo | None]
"""Returns the info of a component with the given options, of its kind's class in
`dddm.interfaces.info`; None if unknown, as for a data set whose files must be read first.
"""

Survey = Callable[[Any], DataSurvey]
"""Looks at the files that a data set with the given options reads, in a second or two."""

Needs = Callable[[Any], Iterable[WeightFile]]
"""Returns the weight files that a component needs with the given options."""


@final
@attrs.frozen(kw_only=True)
class NoOptions:
    """For a component without options."""


@final
@attrs.frozen(kw_only=True)
class Conformance:
    """How the conformance tests, `dddm.testing`, test a component.

    Attributes:
        examples: options to test with, each a table as in a recipe, without `use`; the defaults if
            empty.
        lacks: capabilities that it does not have, each with the reason; their checks are skipped.
        expected_failures: names of checks that it is known to fail, each with the reason; passing
            one is an error.
        shapes: of the images to test with.
        classes: number of classes of these images.
        relative_error: of a target store: largest error of a stored number, as a fraction of its
            image's maximum; or a function of the options that returns it.
    """

    examples: tuple[Mapping[str, Any], ...] = ()
    lacks: Mapping[str, str] = attrs.field(factory=dict)
    expected_failures: Mapping[str, str] = attrs.field(factory=dict)
    shapes: tuple[ImageShape, ...] = (
        ImageShape(channels=1, height=8, width=8),
        ImageShape(channels=3, height=8, width=16),
    )
    classes: int = 3
    relative_error: float | Callable[[Any], float] = 0.0


DEFAULT_CONFORMANCE: Final = Conformance()
"""Of a component that is tested with its default options and passes every check."""


class Registrar(ABC):
    """Passed to a plugin's hook, to register its components."""

    @abstractmethod
    def add(
        self,
        kind: Kind,
        name: str,
        *,
        target: str,
        summary: str,
        options: type[Any] = NoOptions,
        api: tuple[int, int] = (API_VERSION, API_VERSION),
        check: Check | None = None,
        describe: Describe | None = None,
        weights: Iterable[WeightFile] = (),
        needs: Needs | None = None,
        survey: Survey | None = None,
        default: bool = False,
        conformance: Conformance = DEFAULT_CONFORMANCE,
    ) -> None:
        """Register one component.

        Args:
            kind: what it is.
            name: lower-case words joined by hyphens; its id is `namespace:name`.
            target: its class or a factory function, as `module:Class`; imported when it is used.
            summary: one line for listings.
            options: attrs class of its options, whose fields are made with `option`.
            api: first and last version of this interface that it supports.
            check: checks its options against the rest of the recipe, without torch.
            describe: returns its info for given options, without torch or reading images.
            weights: all weight files that it may need.
            needs: which of these it needs with given options; all of them by default.
            survey: for data sets of files: looks at these, without torch; modules that it needs are
                imported when it is called.
            default: for observers: whether it is used in runs whose recipe names no observer; for
                scores: whether it is used if `[evaluate]` names no scores.
            conformance: how it is tested.

        Raises:
            PluginError: if an argument is invalid or the name is taken.
        """


REQUIRED: Final = attrs.NOTHING


def option(
    default: Any = REQUIRED,
    *,
    help: str,  # noqa: A002 - the word that users of click and argparse expect
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """A field of an options class, with its default, help and bounds.

    The type is that of the annotation: bool, int, float, str, `Literal[...]` of strings,
    `tuple[T, ...]` of these, `T | None`, or `int | Literal` of strings, which have no bounds.  An
    integer is accepted for a float; nothing else is converted.  For a tuple, the bounds apply to
    each item.
    """
    bounds = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return attrs.field(default=default, metadata={"help": help, "bounds": given})


def nested_component(
    kind: Kind,
    *,
    help: str,  # noqa: A002 - as in `option`
    optional: bool = False,
) -> Any:
    """A field of an options class for another component, annotated as `NestedComponent`.

    With `optional` it is None where the recipe has no such table, and is annotated as
    `NestedComponent | None`.

    In a recipe it is a table:

        [objective]
        use = "in-features"

        [objective.features]
        use = "resnet20"
    """
    metadata = {"help": help, "bounds": {}, "kind": kind}
    return attrs.field(default=None if optional else REQUIRED, metadata=metadata)
