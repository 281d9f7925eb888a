"""Objectives of every sort that the core must carry, each as small as it can be.

Registered as a third-party package registers them, in namespace `toys`.
"""

from attrs import frozen

from dddm.interfaces.info import MemoryField, ObjectiveInfo, SetInfo
from dddm.interfaces.plugin import (
    Kind,
    NestedComponent,
    NoOptions,
    Registrar,
    hookimpl,
    nested_component,
    option,
)

ROWS, REAL = 4, 8
"""Rows of a set, and real images that it is compared with."""


@frozen(kw_only=True)
class ChainOptions:
    """Of `chain`."""

    memory_rows: int = option(640, at_least=1, help="Rows of its own memory.")


@frozen(kw_only=True)
class FeatureOptions:
    """Of `features`."""

    features: NestedComponent = nested_component(Kind.FEATURES, help="In which sets are compared.")


def _facts(**said: object) -> object:
    return lambda _options: ObjectiveInfo(**said)  # type: ignore[arg-type]


def describe_chain(options: ChainOptions) -> ObjectiveInfo:
    return ObjectiveInfo(
        memory=(
            MemoryField(name="estimate"),
            MemoryField(name="x_T"),
            MemoryField(name="depth", shape=(1, 1, 1), initial="zeros"),
        ),
        memory_rows=options.memory_rows,
        sets=SetInfo(rows=ROWS, real=REAL),
        metric=False,
        times="last",
        estimate="estimate",
    )


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare one of each sort."""
    at = "toy_objectives.objectives"
    for name, target, facts, summary in (
        ("plain", "Plain", {}, "One evaluation, no memory."),
        (
            "twice",
            "Twice",
            {"evaluations": 2.0, "evaluations_without_gradient": 1.0},
            "Two evaluations with gradient, one without and with the same dropout.",
        ),
        (
            "taught",
            "Taught",
            {"average": True, "evaluations_without_gradient": 1.0},
            "The averaged network is its target.",
        ),
        (
            "flowing",
            "Flowing",
            {"second_time": True, "derivatives": 1.0, "continuous_time": True, "metric": False},
            "A forward-mode derivative and a second time.",
        ),
        (
            "sets",
            "Sets",
            {"sets": SetInfo(rows=ROWS, real=REAL), "metric": False, "times": "last"},
            "Sets of generated and real images.",
        ),
        ("counting", "Counting", {}, "Keeps a state of its own and says numbers."),
    ):
        registrar.add(
            Kind.OBJECTIVE,
            name,
            target=f"{at}:{target}",
            options=NoOptions,
            describe=_facts(**facts),  # type: ignore[arg-type]
            summary=summary,
        )
    registrar.add(
        Kind.OBJECTIVE,
        "chain",
        target=f"{at}:Chain",
        options=ChainOptions,
        describe=describe_chain,
        summary="A memory of three fields, whose rows are no images.",
    )
    registrar.add(
        Kind.OBJECTIVE,
        "features",
        target=f"{at}:Embedded",
        options=FeatureOptions,
        describe=_facts(gradient_features=True, metric=False),  # type: ignore[arg-type]
        summary="Distances of features with gradient.",
    )
