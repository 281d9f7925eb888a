"""Options of the built-in optimizers, and their check.  Imports no torch."""

from collections.abc import Iterator
from typing import Any, final

from attrs import frozen

from dddm.interfaces.plugin import Issue, RecipeContext, option


def _betas(first: float, second: float) -> Any:
    return option(
        (first, second),
        at_least=0,
        below=1,
        help="β_1 and β_2: how much of the average of the gradient, and of its square, a step "
        "keeps.",
    )


def _eps() -> Any:
    return option(1e-8, above=0, help="ε, added to the root that an update is divided by.")


def _decoupled_decay(default: float) -> Any:
    return option(
        default,
        at_least=0,
        help="Share of each weight, times the learning rate, that a step takes away.",
    )


@final
@frozen(kw_only=True)
class AdamOptions:
    """Options of `adam`; the defaults are the paper's (§5.1)."""

    betas: tuple[float, ...] = _betas(0.9, 0.999)
    eps: float = _eps()


@final
@frozen(kw_only=True)
class AdamWOptions:
    """Options of `adamw`."""

    betas: tuple[float, ...] = _betas(0.9, 0.999)
    eps: float = _eps()
    weight_decay: float = _decoupled_decay(0.01)


@final
@frozen(kw_only=True)
class RAdamOptions:
    """Options of `radam`."""

    betas: tuple[float, ...] = _betas(0.9, 0.999)
    eps: float = _eps()
    weight_decay: float = _decoupled_decay(0.0)


@final
@frozen(kw_only=True)
class SGDOptions:
    """Options of `sgd`."""

    momentum: float = option(
        0.9, at_least=0, below=1, help="How much of the running sum of gradients a step keeps."
    )
    nesterov: bool = option(
        default=False, help="Step along the gradient and the momentum that it leads to."
    )
    weight_decay: float = option(
        0.0, at_least=0, help="Multiple of each weight that is added to its gradient."
    )


@final
@frozen(kw_only=True)
class MuonOptions:
    """Options of `muon`."""

    momentum: float = option(
        0.95, at_least=0, below=1, help="How much of the average of the gradient a step keeps."
    )
    nesterov: bool = option(
        default=True, help="Orthogonalise the gradient and the momentum that it leads to."
    )
    newton_schulz_steps: int = option(
        5, at_least=1, at_most=20, help="Steps of the iteration that orthogonalises."
    )
    update_rms: float = option(
        0.2,
        above=0,
        help="Root mean square of a matrix's update at a learning rate of 1.  Adam's is about 0.2, "
        "so that one learning rate suits both.",
    )
    least_channels: int = option(
        8,
        at_least=1,
        help="A kernel or matrix with fewer inputs or outputs than this is Adam's: the layers that "
        "read and write an image.",
    )
    weight_decay: float = _decoupled_decay(0.0)
    adam_betas: tuple[float, ...] = _betas(0.9, 0.999)
    adam_eps: float = _eps()
    adam_scale: float = option(
        1.0, above=0, help="Learning rate of what is Adam's, as a multiple of the matrices'."
    )


def check_betas(
    options: AdamOptions | AdamWOptions | RAdamOptions, context: RecipeContext
) -> Iterator[Issue]:
    """`betas` has two numbers."""
    del context  # nothing else in a recipe bears on it
    yield from _two("betas", options.betas)


def check_sgd(options: SGDOptions, context: RecipeContext) -> Iterator[Issue]:
    """Nesterov's step needs momentum."""
    del context
    if options.nesterov and not options.momentum:
        yield Issue(
            option="nesterov",
            what="Nesterov's step needs momentum, and momentum is 0",
            remedy="write momentum = 0.9, or leave nesterov out",
        )


def check_muon(options: MuonOptions, context: RecipeContext) -> Iterator[Issue]:
    """`adam_betas` has two numbers."""
    del context
    yield from _two("adam_betas", options.adam_betas)


def _two(name: str, betas: tuple[float, ...]) -> Iterator[Issue]:
    if len(betas) != 2:  # noqa: PLR2004 - Adam has two
        yield Issue(
            option=name,
            what=f"Adam has two averaging factors, not {len(betas)}",
            remedy=f"write {name} = [0.9, 0.999]",
        )
