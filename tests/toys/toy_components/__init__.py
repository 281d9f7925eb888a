"""A component of each kind, small and whole, with which the core runs when no built-in is there."""

from attrs import frozen

from dddm.interfaces.info import (
    DatasetInfo,
    DiagnosisInfo,
    ImageShape,
    Measure,
    MemoryField,
    ObjectiveInfo,
    ScoreInfo,
)
from dddm.interfaces.plugin import Kind, Registrar, hookimpl, option

SHAPE = ImageShape(channels=1, height=4, width=4)
CLASSES = ("dark", "bright")
TRAIN_IMAGES = 48
HELD_OUT_IMAGES = 16


@frozen(kw_only=True)
class NetworkOptions:
    """Of the backbone."""

    scale: float = option(0.5, above=0, help="What its three numbers begin at.")


@frozen(kw_only=True)
class RateOptions:
    """Of the learning rate."""

    rate: float = option(0.01, above=0, help="The rate.")


@frozen(kw_only=True)
class ObserverOptions:
    """Of the observer."""

    signal: int | None = option(None, at_least=1, help="Sent to this very process …")
    at_step: int = option(1, at_least=1, help="… when it has made so many steps.")


def describe(options: object) -> DatasetInfo:
    return DatasetInfo(shape=SHAPE, train_images=TRAIN_IMAGES, classes=CLASSES)


def describe_objective(options: object) -> ObjectiveInfo:
    return ObjectiveInfo(
        memory=(MemoryField(name="estimate"),),
        estimate="estimate",
        diagnosis=DiagnosisInfo(
            title="Spread", measured="standard deviation of X̂", curves=(("spread", "of X̂"),)
        ),
    )


def describe_score(options: object) -> ScoreInfo:
    means = Measure(name="means", words="Means", better="less", explained="how far means are apart")
    return ScoreInfo(measures=(means,), fewest_images=1)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare one of each; the targets import torch, this module does not."""
    add = registrar.add
    at = "toy_components"
    add(Kind.DATASET, "ramps", target=f"{at}.data:Ramps", summary="Ramps.", describe=describe)
    add(
        Kind.OBJECTIVE,
        "remember",
        target=f"{at}.objective:Remember",
        summary="Algorithm 1.",
        describe=describe_objective,
    )
    add(Kind.OPTIMIZER, "descent", target=f"{at}.optimizer:descent", summary="With momentum.")
    add(
        Kind.LEARNING_RATE,
        "flat",
        target=f"{at}.rate:Flat",
        options=RateOptions,
        summary="One rate.",
    )
    add(Kind.SCHEDULE, "circle", target="toys:ToySchedule", summary="cos and sin.")
    add(
        Kind.BACKBONE,
        "numbers",
        target=f"{at}.network:Numbers",
        options=NetworkOptions,
        summary="Three numbers and one a class.",
    )
    add(Kind.METRIC, "square", target="toys:ToyMetric", summary="Squared distance.")
    add(Kind.TARGET_STORE, "tensors", target=f"{at}.store:Tensors", summary="One a shard.")
    add(Kind.SAMPLER, "again", target=f"{at}.sampler:Again", summary="Algorithm 2.")
    add(Kind.FEATURES, "values", target=f"{at}.features:Values", summary="All pixels.")
    add(
        Kind.SCORE,
        "means",
        target=f"{at}.score:Means",
        summary="How far means are apart.",
        describe=describe_score,
        default=True,
    )
    add(
        Kind.OBSERVER,
        "words",
        target=f"{at}.observer:Words",
        options=ObserverOptions,
        summary="The name of each event, on stderr.",
        default=True,
    )
