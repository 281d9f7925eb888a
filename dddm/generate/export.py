"""Exports the one-step generator for other programs, as ONNX or in torch.export's format.

    image = clamp f_θ(estimate, x_T, T),   x_T from noise

and in general one step of a sampler, such as MeanFlow's jump from T to 0.  With guidance f_θ is D_w
of `dddm.core.guidance`, for a scale w that is fixed in the file.

Inputs are two tensors of N(0, 1) noise and, where there are classes, labels, for any number of
images.  The written file is run by onnxruntime or torch and compared with the network.

Legend: B images, C channels, H rows, W columns.
"""

import importlib.util
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
import torch
from torch import Tensor, nn

from dddm.errors import DataError, EnvironmentProblem, PluginError, UsageError
from dddm.generate.generator import Generator
from dddm.generate.sample import check_guidance, check_sampler, guided
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.recipe.model import ComponentConfig, Guidance, SampleSpec
from dddm.support.files import atomic_write, atomic_write_text
from dddm.support.noise import generator_for
from dddm.support.quantities import size

Format = Literal["onnx", "torch"]
SUFFIXES: Final[dict[Format, str]] = {"onnx": ".onnx", "torch": ".pt2"}
TOLERANCE: Final = 1e-4
"""Largest difference between the exported and the trained network, for values in [-1, 1]."""
_PACKAGES: Final[dict[Format, tuple[str, ...]]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "torch": (),
}
_LARGEST_ONNX_BYTES: Final = 2 << 30
"""protobuf's limit for one file."""
_COUNTS: Final = (5, 2)
"""Numbers of images to trace with and to compare with: two, to find one that is built in."""


@final
class OneStep(nn.Module):
    """One step of a sampler, from noise to images (B, C, H, W) in [-1, 1]."""

    def __init__(self, *, model: Denoiser, backbone: Backbone, sampler: Sampler) -> None:
        super().__init__()
        self.backbone = backbone  # registers the weights that `model` uses
        self._model = model
        self._sampler = sampler

    def forward(self, noise: Tensor, estimate: Tensor, label: Tensor | None = None) -> Tensor:
        """Images from two tensors of noise, (B, C, H, W), and labels (B,), int64."""
        (image,) = self._sampler.sample(
            model=self._model,
            x_T=self._model.schedule.prior(noise=noise),
            first_estimate=estimate,
            label=label,
            steps=1,
            noise=_no_noise,
        )
        return image.clamp(-1.0, 1.0)


def _no_noise(step: int) -> Tensor:
    raise ValueError(f"a sampler asked for the noise {step} in its only step")


def check_packages(kind: Format) -> None:
    """Check that the packages of a format are installed.

    Raises:
        EnvironmentProblem: with the command that installs them.
    """
    missing = [name for name in _PACKAGES[kind] if importlib.util.find_spec(name) is None]
    if missing:
        raise EnvironmentProblem(
            f"the format {kind} needs {', '.join(missing)}",
            where="--format",
            remedy="pip install 'dddm[export]', or use --format torch",
        )


@torch.no_grad()
def export(
    generator: Generator,
    *,
    sampler: ComponentConfig,
    kind: Format,
    path: Path,
    guidance: float | None = None,
    notify: Callable[[str], object] = str,
) -> float:
    """Write the one-step generator and a description of it; the largest difference found.

    The description has the same name with `.json` appended.

    Args:
        sampler: whose single step it is.
        guidance: its scale, which is part of the file; None for none, which is 1.
        notify: is told what takes time, a sentence before each; by default nobody is.

    Raises:
        DataError: if the written file gives other images than the network; then there is no file.
        EnvironmentProblem: without the packages, space or the right to write.
        UsageError: if the network is too large for the format, or cannot be guided.
        PluginError: if torch cannot trace the network.
    """
    check_packages(kind)
    asked = Guidance.make(guidance, None)
    check_guidance(asked, generator=generator)
    spec = SampleSpec(sampler=sampler, steps=(1,), images=1, seed=0, guidance=asked)
    check_sampler(spec, generator=generator)
    weight_bytes = sum(tensor.nbytes for tensor in generator.backbone.state_dict().values())
    if kind == "onnx" and weight_bytes >= _LARGEST_ONNX_BYTES:
        raise UsageError(
            f"the weights take {size(weight_bytes)}, but an ONNX file holds at most 2 GiB",
            where=str(path),
            remedy="use --format torch",
        )
    model = guided(generator.model, guidance=asked, generator=generator)
    one_step = OneStep(model=model, backbone=generator.backbone, sampler=sampler.instantiate())
    one_step.cpu().eval()
    examples = [_example(generator, count) for count in _COUNTS]
    differences: list[float] = []

    def write(aside: Path) -> None:
        notify(f"tracing the network and writing {size(weight_bytes)} of weights")
        run = _traced(kind, one_step, examples[0], aside)
        notify("running the file, and comparing its images with the network's")
        differences.extend(float((run(given) - one_step(*given)).abs().max()) for given in examples)
        if not max(differences) <= TOLERANCE:  # nor NaN
            raise DataError(
                f"the exported network differs from the trained one by {max(differences):.2g}",
                where=str(path),
                remedy="report this: nothing was written",
            )

    atomic_write(path, write)
    atomic_write_text(
        path.with_name(f"{path.name}.json"),
        _description(generator, kind, spec, difference=max(differences)),
    )
    return max(differences)


def _traced(
    kind: Format, one_step: OneStep, given: tuple[Tensor, ...], aside: Path
) -> Callable[[Sequence[Tensor]], Tensor]:
    try:
        return _WRITERS[kind](one_step, given, aside)
    except OSError:  # the disk's, which `atomic_write` explains
        raise
    except Exception as error:  # torch.export raises whatever a third-party network does
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise PluginError(
            f"this network cannot be exported: {first[:200]}",
            where=type(one_step.backbone).__name__,
            remedy="see torch.export's requirements; for instance, `len(x)` fixes the number of "
            "images, and `x.shape[0]` does not",
        ) from error


def _example(generator: Generator, count: int) -> tuple[Tensor, ...]:
    shape = (count, *generator.shape.as_tuple)
    random = generator_for("export", count)
    noise, estimate = (torch.randn(shape, generator=random) for _ in range(2))
    if not generator.classes:
        return noise, estimate
    return noise, estimate, torch.arange(count) % len(generator.classes)


def _any_number(given: Sequence[Tensor]) -> tuple[Any, ...]:
    """The first dimension of every input is free."""
    batch = torch.export.Dim("images", min=1)
    return tuple({0: batch} for _ in given)


def _write_torch(
    one_step: OneStep, given: tuple[Tensor, ...], path: Path
) -> Callable[[Sequence[Tensor]], Tensor]:
    program = torch.export.export(one_step, given, dynamic_shapes=_any_number(given), strict=False)
    with path.open("wb") as file:
        torch.export.save(program, file)
    with path.open("rb") as file:
        read: Any = torch.export.load(file).module()
    return lambda inputs: read(*inputs)


def _write_onnx(
    one_step: OneStep, given: tuple[Tensor, ...], path: Path
) -> Callable[[Sequence[Tensor]], Tensor]:
    import onnxruntime  # type: ignore[import-untyped]

    names = ["noise", "estimate", "label"][: len(given)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own code
        program: Any = torch.onnx.export(
            one_step,
            given,
            dynamo=True,
            dynamic_shapes=_any_number(given),
            input_names=names,
            output_names=["image"],
            custom_translation_table={torch.ops.aten.atan2.default: _atan2},
            verbose=False,
        )
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(inputs: Sequence[Tensor]) -> Tensor:
        arrays = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        (image,) = session.run(None, arrays)
        return torch.from_numpy(np.asarray(image))

    return run


def _atan2(y: Any, x: Any) -> Any:
    """2 atan(y / (r + x)) in float32, r² = x² + y²: onnxruntime has no arctangent of float64.

    `network_time = "arctan"` computes it there.  Right but for y = 0 > x.
    """
    import onnxscript

    float32: Any = onnxscript.FLOAT
    op: Any = onnxscript.opset18
    y32, x32 = (op.Cast(value, to=float32.dtype) for value in (y, x))
    r = op.Sqrt(op.Add(op.Mul(x32, x32), op.Mul(y32, y32)))
    half = op.Atan(op.Div(y32, op.Add(r, x32)))
    return op.CastLike(op.Add(half, half), y)


_WRITERS: Final = {"onnx": _write_onnx, "torch": _write_torch}


def _description(generator: Generator, kind: Format, spec: SampleSpec, *, difference: float) -> str:
    channels, height, width = generator.shape.as_tuple
    inputs = {
        "noise": f"float32 (images, {channels}, {height}, {width}), N(0, 1)",
        "estimate": f"float32 (images, {channels}, {height}, {width}), N(0, 1)",
    }
    if generator.classes:
        inputs["label"] = f"int64 (images,), 0…{len(generator.classes) - 1}"
    description = {
        "format": kind,
        "inputs": inputs,
        "output": f"float32 (images, {channels}, {height}, {width}) in [-1, 1]; "
        "uint8 is round(127.5 × (image + 1))",
        "classes": list(generator.classes),
        "sampler": spec.name,
        "guidance": None if spec.guidance is None else spec.guidance.scale,
        "weights": generator.weights,
        "checkpoint": {"step": generator.step, "sha256": generator.checkpoint_sha256},
        "largest_difference_to_the_network": difference,
        "torch": torch.__version__,
    }
    return json.dumps(description, indent=2, ensure_ascii=False) + "\n"
