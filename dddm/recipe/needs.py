"""Whether the rest of a recipe meets what its objective needs.  Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from dddm.errors import PluginError
from dddm.interfaces.info import (
    BackboneInfo,
    FeaturesInfo,
    ObjectiveInfo,
    SamplerInfo,
    ScheduleInfo,
)
from dddm.interfaces.plugin import Kind
from dddm.recipe.locate import Path
from dddm.recipe.model import ComponentConfig, SampleSettings, TrainSettings
from dddm.recipe.options import Reading

Known = TypeVar("Known")


def facts_of(
    reading: Reading, use: ComponentConfig, of: type[Known], *, path: Path
) -> Known | None:
    """What a component says of itself; None, with a problem, where it cannot say.

    A component that says nothing is taken to have its kind's defaults.
    """
    try:
        return use.component.info(of, use.options) or of()
    except PluginError as error:
        reading.complain(error.what, path=path, remedy=error.remedy, of_plugin=True)
        return None


def needs_of(reading: Reading, objective: ComponentConfig) -> ObjectiveInfo | None:
    """What an objective needs; None, with a problem, where it cannot say."""
    return facts_of(reading, objective, ObjectiveInfo, path=("objective",))


def check_needs(
    reading: Reading,
    *,
    uses: Mapping[Path, ComponentConfig],
    train: TrainSettings | None,
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
) -> None:
    """Note everything that an objective needs and the recipe does not have.

    Args:
        uses: components that are right by themselves, by the paths of their tables.
        train: None where `[train]` is wrong by itself.
    """
    objective = uses.get(("objective",))
    needs = None if objective is None else needs_of(reading, objective)
    if objective is None or needs is None:
        return
    name = objective.component.name
    backbone = uses.get(("backbone",))
    if backbone is not None:
        _check_backbone(reading, name, needs, backbone)
    schedule = uses.get(("schedule",))
    if schedule is not None and needs.continuous_time:
        facts = facts_of(reading, schedule, ScheduleInfo, path=("schedule",))
        if facts is not None and not facts.continuous:
            reading.complain(
                f"the objective {name} needs times that are real numbers, and those of the "
                f"schedule {schedule.component.name} are integers",
                path=("schedule", "use"),
                remedy='use a continuous schedule, such as "vp-continuous"',
                at_value=True,
            )
    if needs.gradient_features:
        _check_features(reading, name, objective)
    if train is not None:
        _check_train(reading, name, needs, train)
    _check_samplers(reading, name, needs, sample, backbone=backbone)


def _check_backbone(
    reading: Reading, name: str, needs: ObjectiveInfo, backbone: ComponentConfig
) -> None:
    facts = facts_of(reading, backbone, BackboneInfo, path=("backbone",))
    if facts is None:
        return
    network = backbone.component.name
    for wrong, what, remedy in (
        (
            needs.second_time and not facts.second_time,
            f"the objective {name} needs a second time, which {network} does not take",
            "set the backbone's option for it, such as second_time = true",
        ),
        (
            needs.derivatives > 0 and not facts.forward_mode,
            f"the objective {name} needs forward-mode derivatives, which {network} has not",
            "choose another backbone or objective",
        ),
        (
            needs.estimate != "none" and not facts.estimate,
            f"the objective {name} gives the network x̂, and {network} does not take it",
            "set the backbone's option for it, or choose another objective",
        ),
        (
            needs.estimate == "none" and facts.estimate,
            f"the network {network} takes x̂, and the objective {name} gives none",
            'set the backbone\'s option for it, such as estimate = "none"',
        ),
    ):
        if wrong:
            reading.complain(what, path=("backbone",), remedy=remedy)


def _check_features(reading: Reading, name: str, objective: ComponentConfig) -> None:
    held = [use for use in objective.nested if use.component.kind is Kind.FEATURES]
    for use in held:
        facts = facts_of(reading, use, FeaturesInfo, path=("objective",))
        if facts is not None and not facts.gradient:
            reading.complain(
                f"the objective {name} needs features with gradient, and {use.component.name} "
                "have none",
                path=("objective",),
                remedy='use features that offer it, such as "pixels"',
            )


def _check_train(reading: Reading, name: str, needs: ObjectiveInfo, train: TrainSettings) -> None:
    if needs.derivatives > 0 and train.compile:
        reading.complain(
            f"compile: forward-mode derivatives, which the objective {name} takes, cannot be "
            "compiled",
            path=("train", "compile"),
            remedy="write compile = false",
            at_value=True,
        )
    if needs.sets is None:
        return
    rows = needs.sets.rows
    if train.batch_images % rows:
        reading.complain(
            f"batch_images: {train.batch_images} images cannot be cut into sets of {rows}, which "
            f"the objective {name} compares",
            path=("train", "batch_images"),
            remedy=f"use a multiple of {rows}",
            at_value=True,
        )
    elif train.batch_images // rows % train.accumulation_steps:
        reading.complain(
            f"accumulation_steps: {train.batch_images // rows} sets of {rows} images cannot be "
            f"accumulated over {train.accumulation_steps} equal micro-batches without cutting one",
            path=("train", "accumulation_steps"),
            remedy=f"use a divisor of {train.batch_images // rows}",
            at_value=True,
        )


def _check_samplers(
    reading: Reading,
    name: str,
    needs: ObjectiveInfo,
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
    *,
    backbone: ComponentConfig | None,
) -> None:
    network = (
        None if backbone is None else facts_of(reading, backbone, BackboneInfo, path=("backbone",))
    )
    for number, (use, settings) in enumerate(sample):
        path: Path = ("sample", number)
        facts = facts_of(reading, use, SamplerInfo, path=path)
        if facts is None:
            continue
        sampler = use.component.name
        if facts.second_time and network is not None and not network.second_time:
            reading.complain(
                f"the sampler {sampler} gives the network a second time, which it does not take",
                path=(*path, "use"),
                remedy="use another sampler, or a network with a second time",
                at_value=True,
            )
        if facts.refines and needs.estimate == "none" and max(settings.steps, default=1) > 1:
            reading.complain(
                f"steps: the sampler {sampler} refines x̂, which the objective {name} does not "
                "give the network, so that more than one step changes nothing",
                path=(*path, "steps"),
                remedy='write steps = [1], or use another sampler, such as "annealed"',
                at_value=True,
            )
