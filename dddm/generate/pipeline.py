"""A trained network as a pipeline of the library diffusers.

    pipeline = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    pictures = pipeline(batch_size=16, num_inference_steps=2, seed=0).images

Its images are those of `dddm.load`: this translates arguments and nothing else.  `dddm export
--format diffusers` writes the folder.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self, final

import torch
from torch import Tensor, nn

from dddm.errors import UsageError
from dddm.generate.trained import Generator, load
from dddm.support.torchvision_operators import import_torchvision
from dddm.training.portable import MANIFEST, check_files, read_list

import_torchvision()  # as diffusers does, in vain where it was built for another torch

import diffusers  # noqa: E402
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput  # noqa: E402

_Base: Any = diffusers.DiffusionPipeline  # its methods are not typed

_LARGEST_SEED: Final = 2**31


@final
class Network(nn.Module):
    """The network of a portable run, as a component that a pipeline loads and moves."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.backbone = generator.backbone
        self.generator = generator

    @classmethod
    def from_pretrained(cls, folder: str, **_: Any) -> Self:
        """That of the portable run in `folder`, on the CPU and in float32.

        Raises:
            DataError: if a file of the run is missing or is not as listed.
        """
        check_files(Path(folder), read_list(Path(folder) / MANIFEST))
        return cls(load(folder, device="cpu"))

    @property
    def device(self) -> torch.device:  # diffusers asks its models for both
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


@final
class Pipeline(_Base):  # type: ignore[misc]
    """Samples of a trained network, called as diffusers' unconditional pipelines are."""

    network: Network

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.register_modules(network=network)

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        num_inference_steps: int = 1,
        *,
        generator: torch.Generator | None = None,
        seed: int | None = None,
        class_labels: Sequence[int | str] | Tensor | int | str | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> Any:
        """Images 0…batch_size-1 of a seed, those of `dddm sample`.

        Args:
            batch_size: how many images.
            num_inference_steps: of the sampler.
            generator: gives a seed where none is named; None for torch's own.
            seed: image k's noise and class depend on it and k alone.
            class_labels: names or numbers, which images take in turn; None for all classes.
            guidance_scale: of classifier-free guidance; None for none, which is 1.
            sampler: its name; None for that of the recipe's first samples.
            output_type: `pil`, `np`, (N, H, W, C) in [0, 1], or `pt`, (N, C, H, W) in [0, 1].
            return_dict: whether the images are an attribute, not the first of a tuple.

        Raises:
            UsageError: for another output or precision, and as `dddm.load(…).sample`.
        """
        if output_type not in {"pil", "np", "pt"}:
            raise UsageError(
                f"{output_type!r} is no output type",
                where="output_type",
                remedy="use pil, np or pt",
            )
        if self.network.dtype != torch.float32:
            raise UsageError(
                f"the network was cast to {self.network.dtype}; samples are computed in float32",
                where="torch_dtype",
                remedy="load the pipeline without torch_dtype",
            )
        if seed is None:
            seed = int(torch.randint(_LARGEST_SEED, (), generator=generator))
        made = self.network.generator.sample(
            images=batch_size,
            steps=num_inference_steps,
            seed=seed,
            labels=class_labels,
            guidance=guidance_scale,
            sampler=sampler,
        )
        given: dict[str, Callable[[], Any]] = {
            "pil": made.to_pil,
            "np": lambda: made.numpy().astype("float32") / 255,
            "pt": lambda: made.tensor.float() / 255,
        }
        scaled = given[output_type]()
        return ImagePipelineOutput(images=scaled) if return_dict else (scaled,)
