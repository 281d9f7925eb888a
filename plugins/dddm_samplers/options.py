"""Options of the built-in samplers.  Imports no torch."""

from typing import final

from attrs import frozen

from dddm.interfaces.plugin import option

_CLAMP_HELP = "Keep the estimate in [-1, 1] at each step; without it samples may leave that range."


@final
@frozen(kw_only=True)
class FixedTimeOptions:
    """Options of `fixed-time`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)


@final
@frozen(kw_only=True)
class AnnealedOptions:
    """Options of `annealed`."""

    clamp: bool = option(default=True, help=_CLAMP_HELP)
