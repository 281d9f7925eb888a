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
        "(arXiv 2208.04202); not in the paper.",
    )
    guided_mix: bool = option(
        default=False,
        help="Train on w d(f, x_0) + (1 − w) d(f, x̂) with w = 1/(n + 1) in epoch n, as in the "
        "follow-up paper (arXiv 2405.21059).",
    )


@final
@frozen(kw_only=True)
class DriftingOptions:
    """Options of `drifting`."""

    rows: int = option(10, at_least=2, help="n, generated images in a set, all of one class.")
    real: int = option(120, at_least=2, help="m, real images of the class to compare with.")
    temperatures: tuple[float, ...] = option(
        (0.05, 0.2), above=0, help="τ: how near images must be to attract or repel each other."
    )
    pixels: tuple[int, ...] = option(
        (1,),
        at_least=1,
        help="Compare means over square windows of these sizes; 1: pixels.",
    )
    patches: tuple[int, ...] = option(
        (5,), at_least=1, help="Compare square patches of these sizes in pixels, half overlapping."
    )
    random_network: bool = option(
        default=True, help="Compare in two layers of fixed random convolutions."
    )
    statistics: bool = option(
        default=False,
        help="Compare mean, spread and local differences of whole images.",
    )
