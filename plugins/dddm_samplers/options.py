"""Options of the built-in samplers; imports no torch."""

from typing import final

from attrs import frozen

from dddm.interfaces.plugin import option

_CLAMP_HELP = "Clamp the estimate to [-1, 1] at each step."


@final
@frozen(kw_only=True)
class FixedTimeOptions:
    """Options of `fixed-time`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)
    tolerance: float = option(
        default=0.0,
        at_least=0,
        help="Stop refining an image whose estimate moved less than this in a step (root mean "
        "square over values in [-1, 1]).  0: every image makes every step.",
    )


@final
@frozen(kw_only=True)
class AcceleratedOptions:
    """Options of `accelerated`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)
    history: int = option(
        default=5, at_least=1, help="Number of last steps to mix; 1 is algorithm 2."
    )
    ridge: float = option(
        default=1e-6,
        above=0,
        help="Added to the Gram matrix's diagonal, relative to its trace.",
    )


@final
@frozen(kw_only=True)
class AnnealedOptions:
    """Options of `annealed`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)
