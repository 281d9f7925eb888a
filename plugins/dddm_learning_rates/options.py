"""Options of the built-in learning rates, and their check.  Imports no torch."""

from collections.abc import Iterator
from typing import Any, final

from attrs import frozen

from dddm.interfaces.plugin import Issue, RecipeContext, option


def _rate() -> Any:
    return option(
        2e-4,
        above=0,
        help="The learning rate once it is warm and before it falls; 2e-4 is the paper's for "
        "CIFAR-10.",
    )


def _warmup_steps() -> Any:
    return option(
        0, at_least=0, help="Steps over which the rate rises by equal amounts to its full size."
    )


@final
@frozen(kw_only=True)
class ConstantOptions:
    """Options of `constant`."""

    rate: float = _rate()
    warmup_steps: int = _warmup_steps()


@final
@frozen(kw_only=True)
class StepsOptions:
    """Options of `steps`."""

    rate: float = _rate()
    drops: tuple[float, ...] = option(
        (), above=0, below=1, help="Fractions of the run, rising, at each of which the rate falls."
    )
    factor: float = option(0.25, above=0, below=1, help="What each drop multiplies the rate by.")
    warmup_steps: int = _warmup_steps()


@final
@frozen(kw_only=True)
class CosineOptions:
    """Options of `cosine`."""

    rate: float = _rate()
    final_fraction: float = option(
        0.0, at_least=0, at_most=1, help="Share of `rate` that is left at the end of the run."
    )
    begin: float = option(
        0.0, at_least=0, below=1, help="Fraction of the run after which the rate begins to fall."
    )
    warmup_steps: int = _warmup_steps()


@final
@frozen(kw_only=True)
class InverseSqrtOptions:
    """Options of `inverse-sqrt`."""

    rate: float = _rate()
    reference_steps: int = option(
        70_000,
        at_least=1,
        help="Steps after which the rate begins to fall; 70,000 is EDM2's for ImageNet at 512 "
        "pixels.",
    )
    warmup_steps: int = _warmup_steps()


def check_steps(options: StepsOptions, context: RecipeContext) -> Iterator[Issue]:
    """The fractions rise."""
    del context  # nothing else in a recipe bears on it
    if list(options.drops) != sorted(set(options.drops)):
        yield Issue(
            option="drops",
            what="the fractions of the run must rise",
            remedy="write, for instance, drops = [0.5, 0.75]",
        )
