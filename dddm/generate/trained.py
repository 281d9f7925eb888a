"""The generator of Python: `dddm.load(run).sample(images=16, steps=2, seed=0)`.

Between two seeds every noise of a sample, x_T's as well as that of each step, goes along the great
circle (Shoemake 1985), so that its length stays that of noise:

    ε(w) = sin((1−w)θ)/sin θ ε_a + sin(wθ)/sin θ ε_b,   cos θ = ⟨ε_a, ε_b⟩ / (‖ε_a‖ ‖ε_b‖)

Legend: N images, C channels, H rows, W columns.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from attrs import evolve, frozen
from PIL import Image
from torch import Tensor

from dddm.core.denoiser import ScheduledDenoiser
from dddm.errors import UsageError
from dddm.generate import generator as networks
from dddm.generate.generator import Weights, load_generator
from dddm.generate.sample import (
    NOISE_OF_X_T,
    RowNoise,
    check_guidance,
    check_sampler,
    check_steps,
    generate_images,
    labels_of,
    row_noise,
)
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.interfaces.parametrization import Parametrization
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.interfaces.schedule import Schedule
from dddm.recipe.build import as_image_shape
from dddm.recipe.model import ComponentConfig, Guidance, SampleSpec
from dddm.recipe.read import read_recipe, read_sampler
from dddm.registry.component import Component
from dddm.registry.loader import load_catalogue
from dddm.support import images as pictures
from dddm.training.context import RunContext
from dddm.training.device import choose_device
from dddm.training.events import EventBus
from dddm.training.run_folder import RunFolder
from dddm.training.sources import find_source


@final
@frozen(kw_only=True, eq=False, repr=False)
class Images:
    """Generated images, which a notebook shows as a grid.

    Attributes:
        tensor: (N, C, H, W), uint8, 0…255, on the CPU.
        labels: name of each image's class; empty where the network has no classes.
    """

    tensor: Tensor
    labels: tuple[str, ...] = ()

    def numpy(self) -> npt.NDArray[np.uint8]:
        """(N, H, W, C), uint8, 0…255: as Pillow, matplotlib and `samples.npz` have images."""
        array: npt.NDArray[np.uint8] = self.tensor.permute(0, 2, 3, 1).contiguous().numpy()
        return array

    def to_pil(self, *, scale: int = 1) -> list[Image.Image]:
        """One Pillow image each, every pixel as a square of `scale` × `scale`."""
        return [pictures.picture(image, scale=scale) for image in self.tensor]

    def grid(self, *, columns: int | None = None) -> Image.Image:
        """All images on one sheet, row by row; None for a nearly square one."""
        return pictures.grid(self.tensor, columns=columns)

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, part: int | slice) -> "Images":
        """Some of the images; a single one is still a batch."""
        if isinstance(part, int):
            part = slice(range(len(self))[part], range(len(self))[part] + 1)
        return Images(tensor=self.tensor[part], labels=self.labels[part])

    def _repr_png_(self) -> bytes:
        return pictures.png_bytes(self.grid())

    def __repr__(self) -> str:
        return f"<Images: {len(self)} of {'×'.join(map(str, self.tensor.shape[1:]))}, uint8>"


@final
@frozen(kw_only=True, eq=False, repr=False)
class Generator:
    """A network that makes images: that of a run, by `dddm.load`, or your own, by `from_parts`.

    Attributes:
        folder: of the run; None for a network of your own.
    """

    folder: Path | None
    _network: networks.Generator

    @classmethod
    def from_parts(
        cls,
        *,
        schedule: Schedule,
        backbone: Backbone,
        shape: ImageShape | Sequence[int],
        classes: Sequence[str] = (),
        parametrization: Parametrization | None = None,
        takes_latent: bool = False,
    ) -> "Generator":
        """A generator from parts that `dddm.build` made, or your own.

        Args:
            schedule: the forward process that the network is trained on.
            backbone: sampled from as it is at that moment, on the device where it is, in eval mode.
            shape: of one image, (C, H, W).
            classes: names, one for each label, of a network that uses labels.
            parametrization: None for the schedule's own.
            takes_latent: whether x̂ is a latent, as for `energy-score`, not an estimate.
        """
        model = ScheduledDenoiser(
            schedule=schedule,
            backbone=backbone,
            parametrization=parametrization,
            takes_latent=takes_latent,
        )
        network = networks.Generator(
            model=model,
            backbone=backbone,
            device=next(backbone.parameters()).device,
            shape=as_image_shape(shape),
            classes=tuple(classes) if backbone.uses_labels else (),
            step=0,
            checkpoint_sha256=None,
            weights="",
        )
        return cls(folder=None, network=network)

    @property
    def shape(self) -> ImageShape:
        """Channels, height and width of one image."""
        return self._network.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the network is conditioned on; empty for none."""
        return self._network.classes

    @property
    def step(self) -> int:
        """Optimizer steps after which the run's weights were saved; 0 for your own."""
        return self._network.step

    @property
    def backbone(self) -> Backbone:
        """The network itself, in eval mode; samples are computed on the device where it is."""
        return self._network.backbone

    @property
    def denoiser(self) -> Denoiser:
        """f_θ of eq. 3, for samplers and training loops of your own."""
        return self._network.model

    def __repr__(self) -> str:
        facts = [str(self.shape)]
        facts += [f"{len(self.classes)} classes"] if self.classes else []
        facts += [f"step {self.step:,}"] if self.folder else []
        return f"<Generator {self.folder or 'from parts'}: {', '.join(facts)}>"

    def sample(
        self,
        *,
        images: int | None = None,
        steps: int = 1,
        seed: int = 0,
        labels: Sequence[int | str] | Tensor | int | str | None = None,
        random_classes: bool = False,
        noise: Tensor | None = None,
        sampler: str | Sampler | None = None,
        options: Mapping[str, Any] | None = None,
        guidance: float | None = None,
        guidance_interval: tuple[float, float] | None = None,
    ) -> Images:
        """Generate images 0…images-1 of a seed: those of `dddm sample`, bit for bit on a CPU.

        Args:
            images: how many, 16 by default, or as many as there are in `noise`; 64 are computed at
                a time.
            steps: of the sampler; algorithm 2 makes one network evaluation per image and step.
            seed: image k's noise and class depend on it and k alone.
            labels: a class or several, by name or number, which images take; None for all.
            random_classes: whether each image takes one of them at random; else they do so in turn.
            noise: (N, C, H, W), N(0, I), from which x_T is made in place of the seed's; the rest,
                such as the first x̂, stays that of the seed.  See `noise`.
            sampler: a sampler's name, or a sampler; None for that of the recipe's first samples, or
                `fixed-time`, algorithm 2, for a network of your own.
            options: of the sampler of that name.
            guidance: scale of classifier-free guidance, at least 0; None for none, which is 1.
            guidance_interval: two noise levels s/a; above the first and up to the second samples
                are guided.  None for all.

        Raises:
            UsageError: for a count below 1, an unknown class or option, noise of another shape,
                more steps than times, a sampler that cannot use the network, or guidance of a
                network that was trained without label dropout.
            PluginError: if there is no such sampler.
        """
        images = self._check_noise(noise, images=images)
        spec = self._spec(
            images=images,
            steps=steps,
            seed=seed,
            labels=labels,
            random_classes=random_classes,
            sampler=sampler,
            options=options,
            guidance=guidance,
            guidance_interval=guidance_interval,
        )
        seeds = row_noise(seed=seed, shape=self.shape)
        noises = seeds if noise is None else _given(noise, others=seeds)
        return self._generate(spec, sampler, noise=noises)

    def interpolate(
        self,
        seed_a: int,
        seed_b: int,
        *,
        images: int = 8,
        number: int = 0,
        label: int | str | None = None,
        steps: int = 1,
        sampler: str | Sampler | None = None,
        options: Mapping[str, Any] | None = None,
        guidance: float | None = None,
        guidance_interval: tuple[float, float] | None = None,
    ) -> Images:
        """Images on the way from one seed to another, of one class: all noise is interpolated.

        The first is image `number` of `seed_a`, the last that of `seed_b`, as `sample` makes them.

        Args:
            images: how many, both ends included, at least 2.
            number: of the image in both seeds.
            label: name or number of the class; None for that of image `number`.
            steps: this and what follows as in `sample`.

        Raises:
            UsageError: as `sample`.
            PluginError: likewise.
        """
        if images < 2 or number < 0:  # noqa: PLR2004 - both ends
            wrong = f"images is {images}; it must be at least 2"
            raise UsageError(wrong if images < 2 else f"number is {number}; it must be at least 0")  # noqa: PLR2004
        if label is None and self.classes:
            label = number % len(self.classes)
        spec = self._spec(
            images=images,
            steps=steps,
            seed=min(seed_a, seed_b),
            labels=label,
            sampler=sampler,
            options=options,
            guidance=guidance,
            guidance_interval=guidance_interval,
        )
        ends = [row_noise(seed=seed, shape=self.shape) for seed in (seed_a, seed_b)]

        def noise(purpose: str, index_B: Tensor) -> Tensor:
            first, last = (end(purpose, torch.tensor([number])) for end in ends)
            return slerp(first, last, weight=index_B.clamp(max=images - 1) / (images - 1))

        return self._generate(spec, sampler, noise=noise)

    def noise(self, *, images: int = 16, seed: int = 0) -> Tensor:
        """The noise of `sample` that becomes x_T, (N, C, H, W), N(0, I), float32, on the CPU."""
        return row_noise(seed=seed, shape=self.shape)(NOISE_OF_X_T, torch.arange(images))

    def _spec(
        self,
        *,
        images: int,
        steps: int,
        seed: int,
        labels: Any,
        random_classes: bool = False,
        sampler: str | Sampler | None,
        options: Mapping[str, Any] | None,
        guidance: float | None,
        guidance_interval: tuple[float, float] | None,
    ) -> SampleSpec:
        for name, value in (("images", images), ("steps", steps), ("seed", seed)):
            if not isinstance(value, int):
                raise UsageError(f"{name} is {value!r}; it must be a whole number", where=name)
        labels = labels.tolist() if hasattr(labels, "tolist") else labels
        labels = (labels,) if isinstance(labels, int | str) else labels
        return SampleSpec(
            sampler=_of_python(sampler, options)
            if isinstance(sampler, Sampler)
            else read_sampler(
                sampler,
                options=options or {},
                own=self._network.sampler,
                catalogue=load_catalogue(),
            ),
            steps=(steps,),
            images=images,
            seed=seed,
            guidance=Guidance.make(guidance, guidance_interval),
            labels=None if labels is None else tuple(map(str, labels)),
            random_classes=random_classes,
        )

    def _check_noise(self, noise: Tensor | None, *, images: int | None) -> int:
        """How many images are asked for."""
        if noise is None:
            return 16 if images is None else images
        if isinstance(noise, Tensor):
            wanted = (
                noise.shape[0] if images is None and noise.dim() else images,
                *self.shape.as_tuple,
            )
            if noise.is_floating_point() and noise.shape == wanted and noise.isfinite().all():
                return len(noise)
        shape = ", ".join(map(str, ("N" if images is None else images, *self.shape.as_tuple)))
        found = f"{tuple(noise.shape)}, {noise.dtype}" if isinstance(noise, Tensor) else type(noise)
        raise UsageError(
            f"noise must be finite numbers, ({shape}), torch.float32; found {found}",
            where="noise",
            remedy="begin with generator.noise(images=…, seed=…)",
        )

    def _generate(
        self, spec: SampleSpec, sampler: str | Sampler | None, *, noise: RowNoise
    ) -> Images:
        device = next(self._network.backbone.parameters()).device
        network = evolve(self._network, device=device)
        built = sampler if isinstance(sampler, Sampler) else spec.sampler.instantiate()
        check_sampler(spec, generator=network)
        check_steps(spec, sampler=built, schedule=network.model.schedule)
        check_guidance(spec.guidance, generator=network)
        with _in_eval_mode(network.backbone):
            made = generate_images(spec, generator=network, sampler=built, noise=noise)
        label_N = labels_of(spec, torch.arange(spec.images), classes=self.classes)
        labels = () if label_N is None else tuple(self.classes[k] for k in label_N.tolist())
        return Images(tensor=made[spec.steps[0]], labels=labels)


def _of_python(sampler: Sampler, options: Mapping[str, Any] | None) -> ComponentConfig:
    """What stands for a sampler that no recipe made."""
    if options:
        raise UsageError(
            f"options are given beside a sampler, {type(sampler).__name__}",
            where="options",
            remedy="make it with them, or name the sampler",
        )
    component = Component(
        kind=Kind.SAMPLER,
        name=type(sampler).__name__,
        namespace="python",
        target=f"{type(sampler).__module__}:{type(sampler).__qualname__}",
        options=NoOptions,
        summary="",
        plugin="python",
        package="python",
        version="",
    )
    return ComponentConfig(component=component, options=NoOptions())


def slerp(first: Tensor, last: Tensor, *, weight: Tensor) -> Tensor:
    """Noise on the great circle from one image (1, C, H, W) to another, (N, C, H, W), float32.

    Args:
        weight: w of each, (N,), in [0, 1]; at both ends the image itself, bit for bit.
    """
    w_N111 = weight.double().reshape(-1, 1, 1, 1)
    a, b = first.double(), last.double()
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    if not angle > 0:  # equal seeds
        return first.repeat(len(weight), 1, 1, 1)
    between = (((1 - w_N111) * angle).sin() * a + (w_N111 * angle).sin() * b) / angle.sin()
    between = torch.where(w_N111 == 0, a, between)
    return torch.where(w_N111 == 1, b, between).float()


def _given(noise: Tensor, *, others: RowNoise) -> RowNoise:
    """`noise` for x_T; the last block, which is computed whole, repeats the last image."""
    noise_NCHW = noise.detach().cpu().float()

    def rows(purpose: str, index_B: Tensor) -> Tensor:
        if purpose == NOISE_OF_X_T:
            return noise_NCHW[index_B.clamp(max=len(noise_NCHW) - 1)]
        return others(purpose, index_B)

    return rows


@contextmanager
def _in_eval_mode(backbone: Backbone) -> Iterator[None]:
    training = backbone.training
    backbone.eval()
    try:
        yield
    finally:
        backbone.train(training)


def load(
    run: str | Path | None = None,
    *,
    device: str = "auto",
    ema: float | None = None,
    best: bool = False,
) -> Generator:
    """Load the averaged weights of a run's latest checkpoint, ready to sample from.

    Args:
        run: the run's folder; `digits` or `digits-dddm`, which come with dddm; `hf://user/name` or
            `hf://user/name@revision` on the Hugging Face Hub; None for the newest under `./runs`.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        ema: decay of one of the recipe's `train.extra_ema_decays`, in place of `train.ema`.
        best: use the weights that scored best during training.

    Raises:
        UsageError: if there is no such run, or it keeps no such weights.
        DataError: if it has no complete checkpoint, or files from the Hub are not as listed.
        EnvironmentProblem: if the Hub cannot be reached, or its package is missing.
    """
    folder = folder_of(run)
    notices: list[str] = []
    context = RunContext(
        recipe=read_recipe(folder.recipe, catalogue=load_catalogue()),
        folder=folder,
        device=choose_device(device),
        events=EventBus.for_notices(notices.append),
    )
    network = load_generator(context, weights=Weights(ema=ema, best=best))
    for text in notices:
        warnings.warn(text, stacklevel=2)
    return Generator(folder=folder.path, network=network)


def folder_of(run: str | Path | None, *, samples: bool = False) -> RunFolder:
    """The folder of what `dddm.load` is asked for; arguments and errors as of `find_source`."""
    return find_source(None if run is None else str(run), samples=samples)
