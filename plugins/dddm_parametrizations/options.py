"""Options of the built-in parametrizations.  Imports no torch."""

from typing import Literal, final

from attrs import frozen

from dddm.interfaces.plugin import option

_TIME_HELP = (
    "What the network sees of t: the schedule's own time, t/T, ¼ ln σ, or "
    "1000·(2/π)·atan(σ/sigma_data)."
)
_DATA_HELP = "σ_d, the approximate standard deviation of the images."


@final
@frozen(kw_only=True)
class PlainOptions:
    """Options of `residual`, `x-prediction`, `noise`, `v-prediction` and `velocity`."""

    network_time: Literal["schedule", "unit", "log-sigma", "arctan"] = option(
        "schedule", help=_TIME_HELP
    )
    sigma_data: float = option(
        0.5, above=0, help='Standard deviation of the images, for network_time = "arctan" alone.'
    )


@final
@frozen(kw_only=True)
class EdmOptions:
    """Options of `edm`."""

    network_time: Literal["schedule", "unit", "log-sigma", "arctan"] = option(
        "log-sigma", help=_TIME_HELP
    )
    sigma_data: float = option(0.5, above=0, help=_DATA_HELP)


@final
@frozen(kw_only=True)
class ConsistencyOptions:
    """Options of `consistency`."""

    network_time: Literal["schedule", "unit", "log-sigma", "arctan"] = option(
        "log-sigma", help=_TIME_HELP
    )
    sigma_data: float = option(0.5, above=0, help=_DATA_HELP)
    sigma_min: float = option(
        0.002, at_least=0, help="The noise at and below which the estimate is x_t/a itself."
    )
