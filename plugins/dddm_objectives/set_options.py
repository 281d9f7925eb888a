"""Options of objectives that compare sets of images, and their checks.  Imports no torch."""

from collections.abc import Iterator
from typing import final

from attrs import frozen

from dddm.interfaces.info import MemoryField, ObjectiveInfo, SetInfo
from dddm.interfaces.plugin import (
    Issue,
    Kind,
    NestedComponent,
    RecipeContext,
    nested_component,
    option,
)


@frozen(kw_only=True)
class ComparisonOptions:
    """How sets of images are compared; options of every objective that compares sets.

    Kinds of features have weights, of which the ratios alone matter.
    """

    temperatures: tuple[float, ...] = option(
        (0.05, 0.2), above=0, help="τ: how near images must be to attract or repel each other."
    )
    pixels: float = option(
        1.0, at_least=0, help="Weight of pixels, or of their means over `pixel_windows`."
    )
    pixel_windows: tuple[int, ...] = option(
        (1,), at_least=1, help="Sizes of square windows over which pixels are averaged."
    )
    patches: float = option(1.0, at_least=0, help="Weight of square patches of the images.")
    patch_sizes: tuple[int, ...] = option(
        (5,), at_least=1, help="Sizes of patches in pixels; they overlap by half."
    )
    contrast: float = option(
        0.0, at_least=0, help="Weight of patches of the images minus their local mean."
    )
    random: float = option(
        1.0, at_least=0, help="Weight of two layers of fixed random convolutions."
    )
    statistics: float = option(
        0.0,
        at_least=0,
        help="Weight of mean, spread, local differences and share of bright pixels of whole "
        "images.",
    )
    features: NestedComponent | None = nested_component(
        Kind.FEATURES,
        optional=True,
        help="A network in which images are compared too, such as `learned`, which is trained on "
        "the training images first; do not score the samples in it.",
    )
    features_weight: float = option(1.0, at_least=0, help="Weight of `features`.")
    places: int = option(
        16,
        at_least=1,
        help="Places of an image that are compared at a step; others at the next, where there are "
        "more.",
    )


@final
@frozen(kw_only=True)
class DriftingOptions(ComparisonOptions):
    """Options of `drifting`."""

    rows: int = option(10, at_least=2, help="n, generated images in a set, all of one class.")
    real: int = option(120, at_least=2, help="m, real images of the class to compare with.")


@final
@frozen(kw_only=True)
class DirectlyDriftingOptions(ComparisonOptions):
    """Options of `directly-drifting`."""

    rows: int = option(
        10,
        at_least=4,
        help="n, rows of a set, all of one class: half first, half later steps.",
    )
    real: int = option(120, at_least=2, help="m, real images of the class to compare with.")
    restart: float = option(
        0.1, at_least=0, at_most=1, help="ρ: probability of replacing a chain by a new one."
    )
    memory_rows: int = option(
        2000, at_least=1, help="Chains in the memory; the more, the older their estimates."
    )


def describe_drifting(options: DriftingOptions) -> ObjectiveInfo:
    return ObjectiveInfo(
        sets=SetInfo(rows=options.rows, real=options.real),
        metric=False,
        gradient_features=options.features is not None,
        times="last",
        usual={
            "parametrization": {"use": "dddm:v-prediction"},
            "sample": [{"use": "dddm:fixed-time", "steps": [1], "images": 500}],
        },
    )


def describe_directly_drifting(options: DirectlyDriftingOptions) -> ObjectiveInfo:
    later = options.rows - options.rows // 2
    return ObjectiveInfo(
        memory=(
            MemoryField(name="estimate"),
            MemoryField(name="x_T"),
            MemoryField(name="depth", shape=(1, 1, 1), initial="zeros"),
        ),
        memory_rows=options.memory_rows,
        sets=SetInfo(rows=options.rows, real=options.real),
        metric=False,
        average=True,
        evaluations_without_gradient=later / options.rows,
        estimate="estimate",
        gradient_features=options.features is not None,
        times="last",
        usual={
            "parametrization": {"use": "dddm:v-prediction"},
            "backbone": {"estimate": "concatenation"},
            "sample": [{"use": "dddm:fixed-time", "steps": [1, 2, 10], "images": 500}],
        },
    )


def check_drifting(
    options: DriftingOptions | DirectlyDriftingOptions, context: RecipeContext
) -> Iterator[Issue]:
    yield from check_comparison(options, context)
    yield from check_sets(context, rows=options.rows, real=options.real)


def check_comparison(options: ComparisonOptions, context: RecipeContext) -> Iterator[Issue]:
    """Something is compared, and windows and patches fit into the images."""
    features = options.features_weight if options.features is not None else 0.0
    weights = (options.pixels, options.patches, options.contrast, options.random,
               options.statistics, features)  # fmt: skip
    if not any(weights):
        yield Issue(option="pixels", what="every weight is 0, so that nothing is compared",
                    remedy="write, for instance, pixels = 1.0")  # fmt: skip
    side = None
    if context.data is not None:
        side = min(context.data.shape.height, context.data.shape.width)
    for name, sizes, used in (
        ("pixel_windows", options.pixel_windows, options.pixels > 0),
        ("patch_sizes", options.patch_sizes, options.patches + options.contrast > 0),
    ):
        if used and not sizes:
            yield Issue(
                option=name, what="there is no size to compare at", remedy=f"write {name} = [1]"
            )
        if used and side is not None and max(sizes, default=1) > side:
            assert context.data is not None
            shape = context.data.shape
            what = f"{max(sizes)} pixels do not fit into images of {shape.height}×{shape.width}"
            yield Issue(option=name, what=what, remedy=f"use {side} or less")


def check_sets(context: RecipeContext, *, rows: int, real: int) -> Iterator[Issue]:
    """There are enough images for a set, of every class as far as that is known."""
    if context.data is None:
        return
    backbone = context.tables.get("backbone")
    by_class = isinstance(backbone, dict) and backbone.get("classes") is True
    data = context.data
    most, which = data.train_images, "the data set has"
    if by_class and data.class_images:
        most = min(data.class_images)
        which = f"the class {data.classes[data.class_images.index(most)]} has"
    elif by_class and len(data.classes) > 1:
        most //= len(data.classes)
        which = "the smallest class has at most"
    if rows + real > most:
        yield Issue(
            option="real",
            what=f"sets of {rows} images are compared with {real} others, and {which} {most}",
            remedy="use smaller sets: fewer rows or real images",
        )
