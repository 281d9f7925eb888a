"""How a package brings components into dddm.  Imports no torch.

A package declares an entry point in group `dddm`, whose name is its namespace and whose value is
a module that imports no torch and implements one hook:

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
How a target is called is said in the interface file of its kind; its options always come first.

`dddm plugin test NAME` tries whether a component does what that file promises, with the options
that its registration gives as examples: `conformance=Conformance(examples=({"eps": 1e-2},))`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, final

import attrs
import pluggy

from dddm.interfaces.info import ComponentInfo, DatasetInfo, ImageShape
from dddm.support.weights import WeightFile as WeightFile  # noqa: PLC0414 - part of this interface

API_VERSION: Final = 1
"""The version of this interface.  It rises when a plugin written for the last one could break."""

hookimpl: Final = pluggy.HookimplMarker("dddm")


@final
class Kind(Enum):
    """The kinds of component; the value is the word that recipes, messages and commands use."""

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
    """What else the recipe says, for a component's check of its options.

    Attributes:
        data: facts of the data set, or None where they are known only once its files are read.
        tables: the recipe's merged tables as plain values, by table name.
    """

    data: DatasetInfo | None
    tables: Mapping[str, Any]


@final
@attrs.frozen(kw_only=True)
class Issue:
    """What a component's check finds wrong with one of its options.

    Attributes:
        option: name of the option that is to be changed.
        what: what is wrong with it.
        remedy: what to write instead.
    """

    option: str
    what: str
    remedy: str | None = None


class NestedComponent(ABC):
    """A component that another one holds: what an option made with `part` is in a checked recipe.

    Attributes:
        options: its own options, an instance of its options class.
    """

    options: Any

    @abstractmethod
    def instantiate(self, **more: Any) -> Any:
        """Import its class and build it: `target(options, **more)`.

        Raises:
            PluginError: if it cannot be imported.
        """


Check = Callable[[Any, RecipeContext], Iterable[Issue]]
"""Checks options (an instance of the component's options class) against the rest of the recipe."""

Describe = Callable[[Any], ComponentInfo | None]
"""What a component is, with the given options, of its kind's class in `dddm.interfaces.info`.

None says nothing: of a data set, that its files must be read first.
"""

Needs = Callable[[Any], Iterable[WeightFile]]
"""The files of weights that a component needs with the given options."""


@final
@attrs.frozen(kw_only=True)
class NoOptions:
    """For a component that has nothing to choose."""


@final
@attrs.frozen(kw_only=True)
class Conformance:
    """What the conformance kit, `dddm.testing`, should know of a component.

    Attributes:
        examples: options that it is tried with, each a table as a recipe writes it, without `use`;
            without any, all defaults.
        lacks: capabilities that it does not have, each with the reason; checks of these are left
            out.
        expected_failures: names of checks that it is known to fail, each with the reason; passing
            one is an error.
        shapes: of the images that it is tried with.
        classes: how many classes these images have.
        relative_error: of a target store: by how much a number that is kept may be off, as a share
            of its image's largest; or a function of the options that says so.
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
"""Of a component that is tried with its defaults and is to keep every promise."""


class Registrar(ABC):
    """What a plugin registers its components with."""

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
        default: bool = False,
        conformance: Conformance = DEFAULT_CONFORMANCE,
    ) -> None:
        """Declare one component.

        Args:
            kind: what it is.
            name: lower-case words joined by hyphens; its full id is `namespace:name`.
            target: where its class is, or a function that makes one, as `module:Class`; imported
                only when it is used.
            summary: one line for listings.
            options: attrs class of its options, whose fields are made with `option`.
            api: first and last version of this interface that it supports.
            check: torch-free check of its options against the rest of the recipe.
            describe: its facts with given options, without torch and without reading images.
            weights: all files of weights that it may ever need.
            needs: which of these it needs with given options; without it, all of them.
            default: for observers: whether it follows runs whose recipe names no observer; for
                scores: whether it is taken where `[evaluate]` names no scores.
            conformance: what the conformance kit should know of it.

        Raises:
            PluginError: if the declaration is malformed or the name is taken.
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
    """One field of an options class: its default, what it does, and its bounds.

    Types are taken from the annotation, strictly: bool, int, float, str, `Literal[...]` of
    strings, `tuple[T, ...]` of these, and `T | None`.  A float also takes an integer; nothing else
    is converted.  For a tuple, the bounds hold for each item.
    """
    bounds = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return attrs.field(default=default, metadata={"help": help, "bounds": given})


def nested_component(kind: Kind, *, help: str) -> Any:  # noqa: A002 - as in `option`
    """A field of an options class that holds another component, annotated as `NestedComponent`.

    A recipe writes it as a table of its own:

        [objective]
        use = "in-features"

        [objective.features]
        use = "resnet20"
    """
    return attrs.field(metadata={"help": help, "bounds": {}, "kind": kind})
