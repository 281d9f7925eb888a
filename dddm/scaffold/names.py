"""What a new plugin, its module, its namespace, its component and its class are called."""

import importlib.util
import keyword
import re
from importlib.metadata import entry_points
from typing import Final, final

from attrs import frozen

from dddm.errors import UsageError
from dddm.interfaces.plugin import Kind
from dddm.registry.loader import GROUP
from dddm.registry.registrar import is_name, namespace_of

PREFIX: Final = "dddm-"
"""What plugins' names begin with by custom; the namespace goes without."""

_DISTRIBUTION: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[-_.]+")

TAKEN: Final = frozenset(
    {
        "Any", "Backbone", "Batch", "Block", "Cache", "Callable", "Conformance", "DataError",
        "Dataset", "DatasetInfo", "Denoiser", "Draws", "EnvironmentProblem", "EpochDone", "Event",
        "Extraction", "Features", "Final", "Floor", "Half", "ImageShape", "InMemorySplit", "Issue",
        "Iterator", "Kind", "LearningRate", "Literal", "Mapping", "Measure", "Measurement",
        "MemoryUsage", "Metric", "NamedTuple", "NoOptions", "Objective", "ObjectiveInfo",
        "Observer", "Outcome", "Parametrization", "Path", "PlainSchedule", "PurePath",
        "RecipeContext", "Reference", "Registrar", "RunStarted", "Sampler", "SamplerInfo",
        "Schedule", "ScheduleInfo", "Score", "ScoreInfo", "Sequence", "ShardState", "Shards",
        "SimpleNamespace", "Split", "SquaredError", "StepNoise", "StepParts", "TargetStore",
        "Tensor", "TinyDenoiser", "TrainingProgress", "TrainingStep",
    }
)  # fmt: skip
"""Names that the templates import or define, which a component's class must not have."""


@final
@frozen(kw_only=True)
class Names:
    """The names of one new plugin.

    Attributes:
        distribution: what pip calls it, as package indices write it: `dddm-charbonnier`.
        module: what Python imports: `dddm_charbonnier`.
        namespace: what stands before the colon in a recipe: `charbonnier`.
        component: what stands behind it.
        class_name: of the component: `Charbonnier`.
    """

    kind: Kind
    distribution: str
    module: str
    namespace: str
    component: str
    class_name: str

    @property
    def id(self) -> str:
        """`namespace:component`."""
        return f"{self.namespace}:{self.component}"


def names_of(name: str, *, kind: Kind, component: str | None = None) -> Names:
    """All names that follow from the distribution's.

    Args:
        name: of the distribution; taken as package indices take it, so that `Dddm_Focal` is
            `dddm-focal`.
        component: None for the namespace.

    Raises:
        UsageError: if it cannot be the name of a distribution, or no module can be called so, or
            `component` cannot be the name of a component.
    """
    if not _DISTRIBUTION.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a package",
            where="NAME",
            remedy="join ASCII letters and digits by hyphens, as in dddm-charbonnier",
        )
    distribution = _SEPARATORS.sub("-", name).lower()
    module = distribution.replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module):
        raise UsageError(
            f"Python cannot import a module called {module}",
            where="NAME",
            remedy=f"call the package {PREFIX}{distribution}",
        )
    namespace = distribution.removeprefix(PREFIX)
    component = namespace if component is None else component
    if not is_name(component):
        raise UsageError(
            f"{component!r} is no name for a {kind.value}",
            where="--component",
            remedy="join lower-case words by hyphens, as in focal-l2",
        )
    return Names(
        kind=kind,
        distribution=distribution,
        module=module,
        namespace=namespace,
        component=component,
        class_name=_class_name(component, kind=kind),
    )


def _class_name(component: str, *, kind: Kind) -> str:
    """`focal-l2` → `FocalL2`; behind the kind's own word where that alone would not do."""
    name = _capitalised(component)
    if name.isidentifier() and not keyword.iskeyword(name) and name not in TAKEN:
        return name
    return _capitalised(kind.value) + name


def _capitalised(words: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in words.split("-"))


def refuse_clashes(names: Names) -> None:
    """Find before anything is written that the package could not be used beside what is installed.

    Raises:
        UsageError: if its namespace is another plugin's, or its module can be imported already.
    """
    for point in entry_points(group=GROUP):
        if namespace_of(point.name) == names.namespace:
            owner = "another package" if point.dist is None else point.dist.name
            raise UsageError(
                f"the namespace {names.namespace!r} belongs to {owner}, which is installed",
                where="NAME",
                remedy=_another_name(names, owner),
            )
    found = importlib.util.find_spec(names.module)
    # A folder of that name without a module in it is none, such as the one to be filled.
    if found is not None and found.origin is not None:
        raise UsageError(
            f"there is a module called {names.module} already",
            where=found.origin,
            remedy=_another_name(names, names.module),
        )


def _another_name(names: Names, owner: str) -> str:
    if owner == "dddm" or not names.distribution.startswith(PREFIX):
        return f"choose another name, such as {PREFIX}my-{names.namespace}"
    return f"choose another name, or uninstall {owner}"
