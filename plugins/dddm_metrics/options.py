"""Options of the built-in metrics.  Imports no torch."""

from typing import final

from attrs import frozen

from dddm.interfaces.plugin import option


@final
@frozen(kw_only=True)
class PseudoHuberOptions:
    """Options of `pseudo-huber`.  c has no default: the right one grows with the image."""

    c: float = option(
        above=0,
        help="Distance at which the square turns into the norm; iCT uses 0.00054·√(C·H·W), which "
        "is 0.0043 for 1×8×8 and 0.03 for 3×32×32.",
    )


@final
@frozen(kw_only=True)
class PseudoHuberElementwiseOptions:
    """Options of `pseudo-huber-elementwise`."""

    c: float = option(
        1.4e-4, above=0, help="Difference at which the square turns into the absolute value."
    )
