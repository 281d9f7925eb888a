"""A trained run in Python: `dddm.load(run).sample(images=16, steps=2, seed=0)`."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from attrs import frozen
from torch import Tensor

from dddm.generate.generator import Generator, Weights, load_generator
from dddm.generate.sample import check_guidance, check_sampler, check_steps, generate_images
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import Kind
from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.recipe.model import Guidance, SampleSpec
from dddm.recipe.read import read_component, read_recipe
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.train.context import RunContext
from dddm.train.device import choose_device
from dddm.train.events import EventBus
from dddm.train.run_folder import find_run


@final
@frozen(kw_only=True)
class Trained:
    """A generator and the run that trained it; what `dddm.load` returns."""

    folder: Path
    _generator: Generator
    _catalogue: Catalogue

    @property
    def shape(self) -> ImageShape:
        """Channels, height and width of one image."""
        return self._generator.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the network is conditioned on; empty for none."""
        return self._generator.classes

    @property
    def step(self) -> int:
        """Optimizer steps after which the weights were saved."""
        return self._generator.step

    @property
    def denoiser(self) -> Denoiser:
        """f_θ of eq. 3, for your own samplers."""
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
        guidance: float | None = None,
        guidance_interval: tuple[float, float] | None = None,
    ) -> Tensor:
        """Generate images 0…images-1 of a seed: those of `dddm sample`, bit for bit on a CPU.

        Args:
            images: how many; they are computed 64 at a time.
            steps: of the sampler; algorithm 2 makes one network evaluation per image and step.
            seed: image k's noise and class depend on it and k alone.
            labels: names or numbers of classes that images take in turn; None takes all in turn.
            sampler: a sampler's name; `fixed-time` is algorithm 2.
            options: of the sampler.
            guidance: scale of classifier-free guidance, at least 0; None for none, which is 1.
            guidance_interval: two noise levels s/a; above the first and up to the second samples
                are guided.  None for all.

        Returns:
            images (N, C, H, W), uint8, 0…255, on the CPU.

        Raises:
            UsageError: for a count below 1, an unknown class or option, more steps than times, a
                sampler that cannot use the network, or guidance of a network that was trained
                without label dropout.
            PluginError: if there is no such sampler.
        """
        # As TOML writes a value; read_component checks it like an option of the command line.
        words = [
            f"{name}={str(value).lower() if isinstance(value, bool) else repr(value)}"
            for name, value in (options or {}).items()
        ]
        spec = SampleSpec(
            sampler=read_component(Kind.SAMPLER, sampler, options=words, catalogue=self._catalogue),
            steps=(steps,),
            images=images,
            seed=seed,
            guidance=Guidance.make(guidance, guidance_interval),
            labels=None if labels is None else tuple(map(str, labels)),
        )
        built: Sampler = spec.sampler.instantiate()
        check_sampler(spec, generator=self._generator)
        check_steps(spec, sampler=built, schedule=self._generator.model.schedule)
        check_guidance(spec.guidance, generator=self._generator)
        return generate_images(spec, generator=self._generator, sampler=built)[steps]


def load(run: str | Path | None, *, device: str, ema: float | None, best: bool) -> Trained:
    """See `dddm.load`."""
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
