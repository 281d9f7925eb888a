"""Options of the built-in objectives.  Imports no torch."""

from typing import final

from attrs import frozen

from dddm.interfaces.plugin import option


@final
@frozen(kw_only=True)
class DirectlyDenoisingOptions:
    """Options of `directly-denoising`; the defaults are the paper's."""

    estimate_dropout: float = option(
        0.0,
        at_least=0,
        at_most=1,
        help="Probability of replacing x̂ by fresh noise in training, as in self-conditioning "
        "(arXiv 2208.04202); not the paper's.",
    )
    guided_mix: bool = option(
        default=False,
        help="Train on w d(f, x_0) + (1 − w) d(f, x̂) with w = 1/(n + 1) in epoch n, as in the "
        "follow-up paper (arXiv 2405.21059).",
    )
