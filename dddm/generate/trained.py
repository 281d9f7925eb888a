"""A trained run as Python code uses it: `dddm.load(run).sample(images=16, steps=2, seed=0)`."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from attrs import frozen
from torch import Tensor

from dddm.generate.generator import Generator, Weights, load_generator
from dddm.generate.sample import build_sampler, generate_images, refuse_too_many_steps
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.interfaces.sampler import Denoiser
from dddm.recipe.model import SampleSpec
from dddm.recipe.read import read_recipe, read_use
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.train.context import RunContext
from dddm.train.device import choose_device
from dddm.train.events import EventBus
from dddm.train.find_run import find_run


@final
@frozen(kw_only=True)
class Trained:
    """A generator and what it was trained on; made by `dddm.load`.

    Attributes:
        folder: of the run.
    """

    folder: Path
    _generator: Generator
    _catalogue: Catalogue

    @property
    def shape(self) -> ImageShape:
        """Of one image: channels, height, width."""
        return self._generator.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the network is conditioned on; empty for none."""
        return self._generator.classes

    @property
    def step(self) -> int:
        """Optimiser steps that the weights have behind them."""
        return self._generator.step

    @property
    def denoiser(self) -> Denoiser:
        """f_θ of eq. 3, for samplers of one's own."""
        return self._generator.model

    def sample(
        self,
        *,
        images: int = 16,
        steps: int = 1,
        seed: int = 0,
        labels: Sequence[int | str] | None = None,
        sampler: str = "fixed-time",
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Draw images 0…images-1 of a seed: those that `dddm sample` draws, bit for bit on a CPU.

        Args:
            images: how many; they are computed 64 at a time.
            steps: of the sampler; algorithm 2 makes one network evaluation for an image in each.
            seed: image k's noise and class depend on it and k alone.
            labels: names or numbers of classes that images take in turn; None takes all in turn.
            sampler: a sampler's name; `fixed-time` is algorithm 2.
            options: of the sampler.

        Returns:
            images (N, C, H, W), uint8, 0…255, on the CPU.

        Raises:
            UsageError: for a count below 1, an unknown class or option, or more steps than times.
            PluginError: if there is no such sampler.
        """
        words = [f"{name}={_literal(value)}" for name, value in (options or {}).items()]
        spec = SampleSpec(
            sampler=read_use(Kind.SAMPLER, sampler, options=words, catalogue=self._catalogue),
            steps=(steps,),
            images=images,
            seed=seed,
            labels=None if labels is None else tuple(map(str, labels)),
        )
        built = build_sampler(spec)
        refuse_too_many_steps(spec, sampler=built, schedule=self._generator.model.schedule)
        return generate_images(spec, generator=self._generator, sampler=built)[steps]


def _literal(value: Any) -> str:
    """A Python value as TOML would have it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def open_run(run: str | Path | None, *, device: str, ema: float | None, best: bool) -> Trained:
    """What `dddm.load` does."""
    catalogue = load_catalogue()
    folder = find_run(None if run is None else str(run))
    notices: list[str] = []
    context = RunContext(
        recipe=read_recipe(folder.recipe, catalogue=catalogue),
        folder=folder,
        device=choose_device(device),
        events=EventBus.for_notices(notices.append),
    )
    generator = load_generator(context, weights=Weights(ema=ema, best=best))
    for text in notices:
        warnings.warn(text, stacklevel=3)
    return Trained(folder=folder.path, generator=generator, catalogue=catalogue)
