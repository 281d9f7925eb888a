"""Proves dddm on one GPU and times it, in at most eight minutes.

    python benchmarks/gpu.py [--out gpu.json] [--minutes 8] [--only stores,rates] [--device cuda]

Sections run in this order, or in that of --only; an error in one ends that section alone:

    machine      the card's matrix rates and bandwidth
    objectives   every built-in objective's step: loss and gradient beside the CPU's
    stores       every place and precision
    samples      within the bound to the CPU's that the documentation promises
    waiting      where a step of the training loop waits for the device
    commands     runs, stops, resumes, one process of DDP, samples and exports as users do
    rates        training steps of cifar10 and imagenet64, as in the recipe and as by --preset gpu;
                 synchronisations, kernels by kind
    sampling     what 50,000 images take
    perceptual   LPIPS: time, and what a precision does to small distances
    steps        two equal runs

What `rates` and `sampling` compile is compiled from the beginning in processes of its own, which
share a cache with this one.  LPIPS runs with random weights in VGG16, so that no file is needed:
its time is the same.  On a machine without a GPU everything runs in a reduced form, which proves
the script and nothing else.
"""

import contextlib
import copy
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, final

import click
import torch
from attrs import define, field
from torch import Tensor, nn

from dddm.core.denoiser import ScheduledDenoiser
from dddm.core.draws import Draws, draw
from dddm.core.ema import MovingAverage
from dddm.core.output_checks import CheckedMetric
from dddm.core.step import StepParts, make_step, refuse_not_finite
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Batch, TrainingProgress
from dddm.interfaces.shards import Shards
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.support.images import to_uint8
from dddm.support.noise import generator_for, noise_by_index
from dddm.support.torchvision_operators import import_torchvision
from dddm.training.build import build_for_training, build_metric
from dddm.training.context import RunContext
from dddm.training.device import choose_device, float32_products
from dddm.training.loop import _Steps
from dddm.training.network import build_objective, build_parametrization, build_schedule
from dddm.training.optimizer import build_optimizer
from dddm.training.run_folder import prepare_folder
from dddm.training.training import Training
from dddm_backbones.layers import GroupNorm

HUBER: Final = 'metric={use="pseudo-huber",c=0.03}'
PROMISED: Final = 1e-4
"""Largest difference between samples of two devices that docs/scores.md promises."""

STORE_ERROR: Final = {"float32": 0.0, "float16": 2**-11, "bfloat16": 2**-8, "int8": 1 / 254}
"""Largest rounding of a number, as a part of its row's largest."""


@final
@define(kw_only=True)
class Check:
    """What is being measured, on what, and what was found."""

    device: torch.device
    reduced: bool
    work: Path
    out: Path
    ends: float
    precompiled: "Precompiled | None" = None
    rows: list[dict[str, Any]] = field(factory=list)

    def row(
        self, section: str, name: str, value: object, unit: str = "", *, ok: bool | None = None
    ) -> None:
        """Print a row of the table and write everything found so far."""
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        mark = {True: "ok", False: "FAIL", None: ""}[ok]
        print(f"{mark:4} {section:10} {name[:70]:70} {shown:>12} {unit}", flush=True)
        self.rows.append({"section": section, "name": name, "value": value, "unit": unit, "ok": ok})
        self.out.write_text(json.dumps(self.rows, indent=1, default=str) + "\n", encoding="utf-8")

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def seconds_left(self) -> float:
        return self.ends - time.monotonic()

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def seconds(self, call: Callable[[], object], *, repeat: int = 10, warm: int = 3) -> float:
        """Mean seconds of calls that follow each other, as in training."""
        if self.reduced:
            repeat, warm = 2, 1
        for _ in range(warm):
            call()
        self.wait()
        began = time.perf_counter()
        for _ in range(repeat):
            call()
        self.wait()
        return (time.perf_counter() - began) / repeat

    def recipe(self, name: str, *overrides: str) -> Recipe:
        small = ("backbone.channels=32", "backbone.blocks=1", "backbone.head_width=32")
        more = small if self.reduced and name != "digits" else ()
        return read_recipe(name, overrides=[*overrides, *more], catalogue=load_catalogue())


SECTIONS: Final[dict[str, Callable[[Check], None]]] = {}


def section(function: Callable[[Check], None]) -> Callable[[Check], None]:
    SECTIONS[function.__name__] = function
    return function


@contextlib.contextmanager
def fp32_as(kind: str) -> Iterator[None]:
    """Compute float32 products as `ieee` or `tf32`, or as dddm has set it."""
    if kind == "default":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.allow_tf32, matmul.allow_tf32)
    cudnn.allow_tf32 = matmul.allow_tf32 = kind == "tf32"
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


# --------------------------------------------------------------------------- the machine


@section
def machine(check: Check) -> None:
    """What the card can do at best, and what torch's defaults are."""
    name = torch.cuda.get_device_name(0) if check.cuda else "cpu"
    cudnn: Any = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    check.row("machine", "device", name)
    check.row(
        "machine",
        "torch, CUDA, cuDNN",
        f"{torch.__version__} {torch.version.cuda} {cudnn}",
    )
    check.row("machine", "fp32 convolutions use TF32 in dddm", torch.backends.cudnn.allow_tf32)
    check.row(
        "machine", "fp32 matrix products use TF32 in dddm", torch.backends.cuda.matmul.allow_tf32
    )
    side = 512 if check.reduced else 8192
    for title, dtype, kind in (
        ("bfloat16", torch.bfloat16, "default"),
        ("float32", torch.float32, "ieee"),
        ("TF32", torch.float32, "tf32"),
    ):
        one, other = (torch.randn(side, side, device=check.device, dtype=dtype) for _ in range(2))
        with fp32_as(kind):
            rate = 2 * side**3 / check.seconds(lambda: one @ other) / 1e12
        check.row("machine", f"matrix product, {title}", rate, "TFLOP/s")
    one = torch.empty(1 << (20 if check.reduced else 29), device=check.device)
    other = torch.empty_like(one)
    check.row(
        "machine",
        "copy on the device",
        2 * one.nbytes / check.seconds(lambda: other.copy_(one)) / 1e9,
        "GB/s read and written",
    )
    images = torch.empty(1024, 3, 32, 32)
    check.row(
        "machine",
        "1,024×3×32×32 float32 to the device, pageable",
        1e3 * check.seconds(lambda: images.to(check.device)),
        "ms",
    )
    if check.cuda:
        pinned = images.pin_memory()
        check.row(
            "machine",
            "the same from pinned memory",
            1e3 * check.seconds(lambda: pinned.to(check.device, non_blocking=True)),
            "ms",
        )
    doctor = run(check, "doctor", "--json")
    check.row("machine", "dddm doctor", doctor.returncode, ok=doctor.returncode == 0)


# --------------------------------------------------------------------------- target stores


@section
def stores(check: Check) -> None:
    """Every place and precision: what is read is what was written, and how long it takes."""
    shape = ImageShape(channels=3, height=32, width=32)
    rows, batch = (4096, 256) if check.reduced else (16384, 1024)
    for place in ("ram", "mmap", "device"):
        for precision, error in STORE_ERROR.items():
            recipe = check.recipe("cifar10", f'targets={{use="{place}",precision="{precision}"}}')
            assert recipe.targets is not None
            store = recipe.targets.instantiate()
            folder = check.work / f"store-{place}-{precision}"
            folder.mkdir()
            shards = Shards.of_process(images=rows, count=64, rank=0, processes=1)
            store.open(
                shards=shards,
                shape=shape,
                seed=0,
                folder=folder,
                device=check.device,
                kept_snapshots=2,
            )
            index = torch.randperm(rows)[:batch]
            given = torch.randn(batch, *shape.as_tuple, device=check.device)
            half = batch // 2
            noise = store.read(index)
            store.begin_epoch(0)
            store.write(index[:half], estimate=given[:half])
            found = store.read(index)
            scale = given[:half].flatten(1).abs().amax(1)[:, None, None, None]
            off = float(((found[:half] - given[:half]).abs() / scale).max())
            ok = off <= 1.01 * error and torch.equal(found[half:], noise[half:])
            store.flush()
            kept = {
                s: {n: t.clone() for n, t in part.items()} for s, part in store.snapshot().items()
            }
            store.write(index[half:], estimate=given[half:])
            store.restore(kept)
            ok = (
                ok
                and torch.equal(store.read(index), found)
                and found.device.type == check.device.type
            )
            read = check.seconds(lambda: store.read(index))
            written = []
            for epoch in range(1, 5):
                store.begin_epoch(epoch)
                check.wait()
                began = time.perf_counter()
                store.write(index, estimate=given)
                check.wait()
                written.append(time.perf_counter() - began)
            store.close()
            took = f"{1e3 * read:.2f}/{1e3 * statistics.median(written):.2f}"
            check.row(
                "stores", f"{place}, {precision}: read / write of {batch} rows", took, "ms", ok=ok
            )


# --------------------------------------------------------------------------- one training step


@final
class RandomVgg:
    """LPIPS on VGG16 with random weights: the metric's cost without its file."""

    def __init__(
        self, *, size: int, bfloat16: bool, device: torch.device, channels_last: bool = False
    ) -> None:
        from dddm_metrics.lpips_network import PerceptualNetwork, average_instead_of_max

        import_torchvision()
        import lpips

        with contextlib.redirect_stdout(None), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            model = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
        heads = torch.load(
            Path(lpips.__file__).parent / "weights/v0.1/vgg.pth",
            map_location="cpu",
            weights_only=True,
        )
        model.load_state_dict(heads, strict=False)
        average_instead_of_max(model)
        form = torch.channels_last if channels_last else torch.contiguous_format
        network: Any = PerceptualNetwork(model, size=size, bfloat16=bfloat16)
        self.network: Any = network.to(device, memory_format=form)

    def distances(self, *, estimate: Tensor, targets: Any) -> tuple[Tensor, ...]:
        return tuple(self.distance(estimate=estimate, target=target) for target in targets)

    def distance(self, *, estimate: Tensor, target: Tensor) -> Tensor:
        from dddm_metrics.perceptual import pseudo_lpips

        with torch.no_grad():
            of_target = self.network.features(target)
        return pseudo_lpips(
            self.network.compare(self.network.features(estimate), of_target),
            form="pseudo",
            c=6.9e-5,
        )


@final
class Step:
    """A training step as the loop makes it, with images and estimates already on the device."""

    def __init__(
        self,
        check: Check,
        name: str,
        *overrides: str,
        batch: int,
        precision: torch.dtype = torch.float32,
        compiled: bool = False,
        metric: Any = None,
        synchronise: bool = True,
        tf32: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.device = check.device if device is None else device
        self.recipe = check.recipe(name, *(() if metric else (HUBER,)), *overrides)
        side = 64 if name.startswith("imagenet") else 32
        self.shape = ImageShape(channels=3, height=side, width=side)
        torch.manual_seed(0)
        self.network = self.recipe.backbone.instantiate(
            shape=self.shape, classes=1000 if side == 64 else 10
        )
        with torch.no_grad():  # layers that begin at zero would hide what stands before them
            for parameter in self.network.parameters():
                if not parameter.any():
                    parameter.normal_(0, 0.02)
        self.network.to(self.device).train()
        self.tf32 = tf32
        self.schedule = build_schedule(self.recipe)
        own = metric or build_metric(self.recipe, device=self.device)
        self.parts = StepParts(
            objective=build_objective(self.recipe, device=self.device),
            denoiser=ScheduledDenoiser(
                schedule=self.schedule,
                backbone=self.network,
                parametrization=build_parametrization(self.recipe, schedule=self.schedule),
                precision=precision,
                compiled=compiled,
            ),
            average=None,
            metric=None if own is None else CheckedMetric(own, compiled=compiled),
            compiled=compiled and self.recipe.needs.traceable,
        )
        parameters = list(self.network.parameters())
        self.optimizer = build_optimizer(
            self.recipe.optimizer, parameters=parameters, learning_rate=2e-4
        )
        self.average = MovingAverage(self.network, decay=0.9999, warmup=False)
        self.synchronise = synchronise
        generator = torch.Generator().manual_seed(0)
        size = (batch, *self.shape.as_tuple)
        self.x_0 = (torch.rand(size, generator=generator) * 2 - 1).to(self.device)
        self.memory = {"estimate": torch.randn(size, generator=generator).to(self.device)}
        self.label = (
            torch.zeros(batch, dtype=torch.long, device=self.device)
            if self.network.uses_labels
            else None
        )
        self.batch = batch

    def gradient(self, step: int = 0, *, draws_on: torch.device | None = None) -> float:
        """Forward and backward; the loss."""
        torch.manual_seed(step)
        rows = torch.arange(self.batch)
        batch = Batch(index=rows, x_0=self.x_0, label=self.label, rows=rows)
        progress = TrainingProgress(step=step, total_steps=1000, epoch=0)
        generator = generator_for("train", 0, 0, step, device=draws_on or self.device)
        draws = draw(
            self.parts.objective,
            count=self.batch,
            shape=self.shape,
            schedule=self.schedule,
            progress=progress,
            generator=generator,
            flips=False,
        )
        if draws_on is not None:
            draws = type(draws)(
                values={n: t.to(self.device) for n, t in draws.values.items()}, flipped=None
            )
        self.optimizer.zero_grad()
        outcome = make_step(
            self.parts, batch=batch, draws=draws, memory=self.memory, progress=progress
        )
        if self.synchronise:
            refuse_not_finite(outcome, batch=batch, draws=draws, step=step, remedy=lambda _: "")
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        return float(outcome.loss) if self.synchronise else 0.0

    def __call__(self, step: int = 0) -> None:
        with float32_products(tf32=self.tf32):
            self.gradient(step)
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), float("inf"))
            if self.synchronise:
                float(norm)
            self.optimizer.step()
            self.average.update(self.network, update=step)

    def flops(self) -> float:
        """Of one image: forward and backward of the network."""
        from dddm.core.flops import count_flops

        with torch.device("meta"):
            network = self.recipe.backbone.instantiate(
                shape=self.shape, classes=1000 if self.shape.height == 64 else 10
            )
        return 3.0 * count_flops(network, shape=self.shape).forward


OBJECTIVES: Final = (
    "digits",
    "digits_denoising",
    "digits_flow_matching",
    "digits_consistency",
    "digits_mean_flow",
    "digits_energy_score",
    "digits_drifting",
    "digits_directly_drifting",
)
"""A recipe of every built-in objective, on real images."""


def gradient_of(
    check: Check, name: str, device: torch.device, *overrides: str
) -> tuple[float, Tensor]:
    """Loss and gradient of a recipe's first step, of weights and draws that are the CPU's."""
    recipe = check.recipe(name, "train.batch_images=40", *overrides)
    with tempfile.TemporaryDirectory(dir=check.work) as folder:
        context = RunContext(
            recipe=recipe, folder=prepare_folder(recipe, Path(folder) / "run"), device=device
        )
        parts = build_for_training(context)
        training = Training(context=context, parts=parts, log=None)
        parts.objective.prepare(
            images=parts.split, flips=False, device=device, progress=no_progress
        )
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():  # layers that begin at zero would hide what stands before them
            for parameter in parts.backbone.parameters():
                if not parameter.any():
                    parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
        parts.backbone.train()
        parts.memory.begin_epoch(0)
        progress = TrainingProgress(step=0, total_steps=1000, epoch=0)
        batch = training.reader.read(parts.plan.rows_of_epoch(0, part=training.process_slice)(0))
        drawn = draw(
            parts.objective,
            count=recipe.train.batch_images,
            shape=parts.split.shape,
            schedule=parts.schedule,
            progress=progress,
            generator=generator,
            flips=False,
        )
        on_device = {n: t.to(device) for n, t in drawn.values.items()}
        outcome = make_step(
            training.steps,
            batch=batch,
            draws=Draws(values=on_device, flipped=None),
            memory=parts.memory.read(batch.rows),
            progress=progress,
        )
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        training.reader.close()
        training.saver.close()
        parts.memory.close()
    gradients = [p.grad.flatten().cpu() for p in parts.backbone.parameters() if p.grad is not None]
    return float(outcome.loss.detach()), torch.cat(gradients)


@section
def objectives(check: Check) -> None:
    """Every built-in objective's loss and gradient beside the CPU's, in float32 and bfloat16."""
    cpu = torch.device("cpu")
    for name in OBJECTIVES:
        try:
            loss, exact = gradient_of(check, name, cpu)
            found, gradient = gradient_of(check, name, check.device)
            off = float((gradient - exact).norm() / exact.norm())
            close = abs(found - loss) <= 1e-4 * abs(loss)
            note = f"relative; loss {found:.7g}, {loss:.7g}"
            title = f"{name}: gradient beside the CPU's"
            check.row("objectives", title, off, note, ok=off <= 1e-4 and close)
            if name == "digits_mean_flow":  # its derivatives are float32 alone
                continue
            lower = 'train.precision="bfloat16"'
            found, gradient = gradient_of(check, name, check.device, lower)
            off = float((gradient - exact).norm() / exact.norm())
            check.row("objectives", "  in bfloat16", off, f"relative; loss {found:.7g}")
        except Exception as error:  # noqa: BLE001 - the next objective is tried all the same
            check.row("objectives", name, type(error).__name__, str(error)[:200], ok=False)


@section
def waiting(check: Check) -> None:
    """Where the training loop waits for the device, with data and store on it."""
    recipe = check.recipe(
        "digits",
        'targets={use="device"}',
        "train.data_on_device=true",
        "objective.estimate_dropout=0",
        "train.batch_images=500",
    )
    folder = prepare_folder(recipe, check.work / "waiting")
    context = RunContext(recipe=recipe, folder=folder, device=check.device)
    training = Training(context=context, parts=build_for_training(context), log=None)
    steps = _Steps(training)
    for epoch in range(2):  # in the first one the store's rows are still noise, from the host
        rows = training.parts.plan.rows_of_epoch(epoch, part=training.process_slice)
        training.position.batch = 0
        training.position.epoch = epoch
        for _ in range(training.parts.plan.batches_per_epoch - (1 if epoch else 0)):
            steps.make(rows)
        if epoch == 0:
            steps.read_last()
    synchronisations(check, lambda: steps.make(rows), title="waits in a step of the loop")
    steps.read_last()
    training.reader.close()
    training.saver.close()
    training.parts.memory.close()


@section
def steps(check: Check) -> None:
    """Bits that repeat."""
    batch = 4 if check.reduced else 16
    ends = []
    for _ in range(2):
        step = Step(check, "cifar10", batch=batch)
        for k in range(4):
            step(k)
        ends.append([p.detach().clone() for p in step.network.parameters()])
    equal = all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    check.row("steps", "four training steps twice: equal bits", equal)


# --------------------------------------------------------------------------- samples


@section
def samples(check: Check) -> None:
    """Algorithm 2 on the device beside the CPU, in every precision."""
    from dddm_samplers.fixed_time import FixedTime
    from dddm_samplers.options import FixedTimeOptions

    step = Step(check, "cifar10", "backbone.dropout=0", batch=8)
    network = step.network.eval().requires_grad_(requires_grad=False)
    cpu = copy.deepcopy(network).cpu()
    x_T, first = (torch.randn(8, *step.shape.as_tuple) for _ in range(2))
    count = 2 if check.reduced else 10

    def drawn(backbone: nn.Module, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        device = next(backbone.parameters()).device
        model: Any = ScheduledDenoiser(schedule=step.schedule, backbone=backbone, precision=dtype)  # type: ignore[arg-type]
        with torch.no_grad():
            found = FixedTime(FixedTimeOptions()).sample(
                model=model,
                x_T=x_T.to(device),
                first_estimate=first.to(device),
                label=None,
                steps=count,
                noise=lambda _: torch.zeros(()),
            )
            return [image.cpu() for image in found]

    exact = drawn(cpu)
    for name, kind, dtype, promised in (
        ("float32 as ieee", "ieee", torch.float32, True),
        ("float32 as dddm has it", "default", torch.float32, True),
        ("TF32 everywhere", "tf32", torch.float32, False),
        ("bfloat16", "default", torch.bfloat16, False),
    ):
        with fp32_as(kind):
            found = drawn(network, dtype)
        for at in (1, count):
            one, other = exact[at - 1], found[at - 1]
            gap = float((one - other).abs().max())
            levels = (to_uint8(one).int() - to_uint8(other).int()).abs()
            differ = float((levels > 0).float().mean())
            note = f"{differ:.2%} of bytes differ, by {int(levels.max())} at most"
            check.row(
                "samples",
                f"{name}, {at} steps: largest difference to the CPU",
                gap,
                note,
                ok=gap <= PROMISED if promised else None,
            )


# --------------------------------------------------------------------------- training rates


GROUP_NORM: Final = GroupNorm.forward


@final
@define(kw_only=True)
class Form:
    """A form of the training step that is timed.

    Attributes:
        lpips: Pseudo-LPIPS at 224 pixels, whose trunk is in this precision; None for Pseudo-Huber.
        gib: of the device's memory, about, while it is compiled.
        torch_norm: whether group norm is torch's, instead of `norm_by_moments`.
        cudnn_search: whether cuDNN tries its convolutions and takes the fastest.
        kernels: whether its kernels are counted too.
    """

    recipe: str
    title: str
    batch: int
    preset: bool = True
    channels_last: bool = True
    lpips: str | None = None
    gib: int = 10
    torch_norm: bool = False
    cudnn_search: bool = False
    kernels: bool = False

    @property
    def name(self) -> str:
        return f"{self.recipe}, {self.title}, batch {self.batch}"

    def step(self, check: Check) -> Step:
        metric = None
        if self.lpips is not None:
            metric = RandomVgg(
                size=32 if check.reduced else 224,
                bfloat16=self.lpips == "bfloat16",
                device=check.device,
                channels_last=self.lpips == "bfloat16",
            )
        preset_last = self.preset and self.channels_last
        last = ("backbone.channels_last=true",) if preset_last else ()
        chosen: Any = nn.GroupNorm.forward if self.torch_norm else GROUP_NORM
        GroupNorm.forward = chosen  # type: ignore[method-assign]
        return Step(
            check,
            self.recipe,
            *last,
            batch=2 if check.reduced else self.batch,
            precision=torch.bfloat16 if self.preset else torch.float32,
            compiled=self.preset and not check.reduced,
            tf32=self.preset,
            synchronise=not self.preset,
            metric=metric,
        )


TORCH_NORM: Final = "preset, torch's group norm"
LPIPS_32: Final = "preset, Pseudo-LPIPS in TF32"
LPIPS_16: Final = "preset, Pseudo-LPIPS in bfloat16"
FORMS: Final = (
    Form(recipe="cifar10", title="preset", batch=1024, gib=32, kernels=True),
    Form(recipe="cifar10", title="preset", batch=256, kernels=True),
    Form(recipe="cifar10", title=TORCH_NORM, batch=256, torch_norm=True, kernels=True),
    Form(
        recipe="cifar10",
        title="preset, channels first",
        batch=256,
        channels_last=False,
        kernels=True,
    ),
    Form(recipe="cifar10", title=LPIPS_32, batch=64, lpips="float32", gib=16),
    Form(recipe="imagenet64", title="preset", batch=64, gib=16, kernels=True),
    Form(recipe="cifar10", title=LPIPS_16, batch=64, lpips="bfloat16", gib=12, kernels=True),
    # Of what is compiled already.
    Form(recipe="cifar10", title="preset, cuDNN's search", batch=1024, cudnn_search=True, gib=0),
    Form(recipe="cifar10", title="recipe", batch=256, preset=False, kernels=True),
    Form(recipe="cifar10", title="recipe, Pseudo-LPIPS", batch=64, preset=False, lpips="float32"),
    Form(recipe="imagenet64", title="recipe", batch=32, preset=False),
)
_FREE_GIB: Final = 68
"""Of an H100's 80; the sections that run meanwhile need the rest."""


@final
class Precompiled:
    """Compiles forms in processes of their own, as many at a time as the memory has room for."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._done: dict[str, float] = {}
        self._failed: dict[str, str] = {}
        self._began = time.monotonic()
        self._running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._thread: threading.Thread | None = None

    def start(self, forms: list[Form]) -> None:
        self._thread = threading.Thread(target=self._work, args=(forms,), daemon=True)
        self._thread.start()

    def _work(self, waiting: list[Form]) -> None:
        waiting = list(waiting)
        while waiting or self._running:
            used = sum(gib for _, gib in self._running.values())
            fits = next((form for form in waiting if used + form.gib <= _FREE_GIB), None)
            if fits is not None:
                waiting.remove(fits)
                log = (self._check.work / f"compile-{FORMS.index(fits)}.log").open("wb")
                command = [sys.executable, __file__, "--compile", str(FORMS.index(fits))]
                process = subprocess.Popen(command, stdout=log, stderr=log)
                self._running[fits.name] = process, fits.gib
                continue
            for name, (process, _) in list(self._running.items()):
                if process.poll() is not None:
                    del self._running[name]
                    self._done[name] = time.monotonic() - self._began
            time.sleep(0.2)

    def wait(self, form: Form) -> str:
        """Until it is compiled, or nearly no time is left; in words when that was."""
        while self._thread is not None and self._thread.is_alive() and form.name not in self._done:
            if self._check.seconds_left < 30:
                return "not compiled in time"
            time.sleep(0.2)
        return f"compiled after {self._done.get(form.name, 0.0):.0f} s"

    def stop(self) -> None:
        for process, _ in list(self._running.values()):
            process.kill()


@section
def rates(check: Check) -> None:
    """Training steps in the recipe's form and in that of the preset."""
    peak = next((r["value"] for r in check.rows if r["name"] == "matrix product, bfloat16"), None)
    for form in FORMS:
        if check.seconds_left < 25 and not check.reduced:
            check.row("rates", form.name, "skipped", "no time left")
            continue
        torch.backends.cudnn.benchmark = form.cudnn_search
        try:
            waits = form.preset and form.gib and check.precompiled
            compiled = check.precompiled.wait(form) if waits and check.precompiled else ""
            if compiled.startswith("not"):
                check.row("rates", form.name, "skipped", compiled)
                continue
            rate_of(check, form, peak, compiled)
        except Exception as error:  # noqa: BLE001 - the next form is tried all the same
            check.row("rates", form.name, type(error).__name__, str(error)[:200], ok=False)
        finally:
            torch.backends.cudnn.benchmark = False
            GroupNorm.forward = GROUP_NORM  # type: ignore[method-assign]
        if check.cuda:
            torch.cuda.empty_cache()
        torch._dynamo.reset()


def rate_of(check: Check, form: Form, peak: float | None, compiled: str) -> None:
    if check.cuda:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    step = form.step(check)
    step()
    check.wait()
    first = time.perf_counter() - began
    seconds = check.seconds(step, repeat=8, warm=3)
    rate = step.flops() * step.batch / seconds / 1e12
    share = f", {100 * rate / peak:.1f} % of a bf16 product" if peak and check.cuda else ""
    memory = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if check.cuda else ""
    check.row(
        "rates",
        form.name,
        1e3 * seconds,
        f"ms; {step.batch / seconds:.0f} images/s; network {rate:.0f} TFLOP/s{share}{memory}; "
        f"first {first:.0f} s; {compiled}",
    )
    if check.cuda and form.kernels:
        synchronisations(check, step)
        kernels(check, step)


def synchronisations(
    check: Check, step: Callable[[], object], *, title: str = "  synchronisations in that step"
) -> None:
    """Where a step makes the host wait for the device."""
    if not check.cuda:
        step()
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    where = Counter(
        f"{Path(w.filename).name}:{w.lineno}" for w in said if "synchroniz" in str(w.message)
    )
    check.row(
        "rates",
        title,
        sum(where.values()),
        " ".join(f"{k}×{n}" for k, n in where.items())[:300],
    )


KINDS: Final = (
    ("fused reductions", "^triton_(red|per)"),
    ("fused elementwise", "^triton_"),
    ("matrix and convolution", r"gemm|conv|xmma|cutlass|wgrad|dgrad|nvjet|sm90"),
    ("layout", "nchw|nhwc|transpose"),
    ("group norm", "group|rowwise|norm"),
    ("attention", "flash|fmha|sdp|attention"),
    ("copies and casts", "copy|cat"),
    ("optimizer and average", "adam|lerp|multi_tensor"),
    ("elementwise", "elementwise|vectorized"),
)


def kernels(check: Check, step: Step) -> None:
    """Device time of one step by kind of kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        step(2)
        check.wait()
    spent: Counter[str] = Counter()
    by_name: Counter[str] = Counter()
    count = 0
    for event in profiled.events() or ():
        if event.device_type.name == "CUDA":
            name = event.name.lower()
            kind = next((k for k, pattern in KINDS if re.search(pattern, name)), "other")
            spent[kind] += event.device_time
            by_name[event.name[:64]] += event.device_time
            count += 1
    busy = sum(spent.values())
    check.row("rates", "  kernels in that step", count, f"{busy / 1e3:.1f} ms busy")
    for kind, microseconds in spent.most_common():
        check.row(
            "rates", f"    {kind}", microseconds / 1e3, f"ms, {100 * microseconds / busy:.0f} %"
        )
    for name, microseconds in by_name.most_common(12):
        check.row("rates", f"      {name}", microseconds / 1e3, "ms")


# --------------------------------------------------------------------------- LPIPS


@section
def perceptual(check: Check) -> None:
    """Loss and gradient at 224 pixels; what a precision does to small distances."""
    size, batch = (32, 2) if check.reduced else (224, 64)
    generator = torch.Generator().manual_seed(0)
    x_0 = (torch.rand(batch, 3, 32, 32, generator=generator) * 2 - 1).to(check.device)
    plain = RandomVgg(size=size, bfloat16=False, device=check.device)
    fast = RandomVgg(size=size, bfloat16=True, device=check.device, channels_last=True)

    def squared(metric: RandomVgg, other: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = metric.network.compare(
                metric.network.features(other), metric.network.features(x_0)
            )
            return found.double()

    for far in (1e-3, 1e-2, 1e-1):
        other = (x_0 + far * torch.randn(x_0.shape, generator=generator).to(check.device)).clamp(
            -1, 1
        )
        with fp32_as("ieee"):
            exact = squared(plain, other)
        for name, metric, kind in (
            ("float32 as dddm has it", plain, "default"),
            ("bfloat16", fast, "default"),
        ):
            with fp32_as(kind):
                off = float(((squared(metric, other) - exact).abs() / exact).median())
            check.row(
                "lpips",
                f"L of noise {far:g} in {name}: off by, relative",
                off,
                f"L = {float(exact.median()):.3g}; c² = 4.8e-9",
            )
    for name, metric, kind in (
        ("float32, ieee", plain, "ieee"),
        ("float32 as dddm has it", plain, "default"),
        ("bfloat16, channels last", fast, "default"),
    ):
        estimate = x_0.clone().requires_grad_()

        def once() -> None:
            metric.distance(estimate=estimate, target=x_0.roll(1, 0)).mean().backward()  # type: ignore[no-untyped-call]
            estimate.grad = None

        with fp32_as(kind):
            seconds = check.seconds(once, repeat=5)
        check.row(
            "lpips",
            f"loss and gradient of {batch} at {size}, {name}",
            1e3 * seconds,
            f"ms; {92e9 * batch / seconds / 1e12:.0f} TFLOP/s",
        )


# --------------------------------------------------------------------------- sampling


@section
def sampling(check: Check) -> None:
    """What 50,000 images at 1,000 steps would take, and the noise they begin with."""
    for block in (4,) if check.reduced else (64, 512):
        step = Step(check, "cifar10", "backbone.channels_last=true", batch=block)
        network = step.network.eval().requires_grad_(requires_grad=False)
        noise = check.seconds(
            lambda: noise_by_index(
                seed=0, purpose="x", index=torch.arange(block), shape=step.shape.as_tuple
            ),
            repeat=3,
        )
        check.row("sampling", f"noise of {block} images, on the host", 1e3 * noise, "ms")
        t = step.schedule.grid(steps=1).to(check.device).expand(block)
        for name, how in (
            ("float32", {}),
            ("bfloat16", {"precision": torch.bfloat16}),
            ("bfloat16, compiled", {"precision": torch.bfloat16, "compiled": True}),
        ):
            if "compiled" in name and (check.reduced or block == 64 or check.seconds_left < 60):
                continue
            model = ScheduledDenoiser(schedule=step.schedule, backbone=network, **how)
            with torch.no_grad():
                begun = model.begin(x_t=step.x_0, t=t, label=None)
                begin = check.seconds(lambda: model.begin(x_t=step.x_0, t=t, label=None), repeat=3)
                refine = check.seconds(
                    lambda: model.refine(begun, estimate=step.memory["estimate"]), repeat=5
                )
            hours = 50_000 / block * (begin + 1000 * refine) / 3600
            check.row(
                "sampling",
                f"{block} images, {name}: begin / refine",
                f"{1e3 * begin:.1f}/{1e3 * refine:.1f}",
                f"ms; 50,000 images at 1,000 steps in {hours:.2f} h",
            )


# --------------------------------------------------------------------------- the command line


def run(check: Check, *words: object, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dddm", *map(str, words)]
    limit = 900 if check.reduced else max(10.0, min(timeout, check.seconds_left))
    try:
        return subprocess.run(
            command, cwd=check.work, text=True, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"still running after {limit:.0f} s")


def tried(check: Check, name: str, *words: object) -> bool:
    """A command that must succeed."""
    began = time.perf_counter()
    done = run(check, *words)
    error = "" if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
    check.row("commands", name, time.perf_counter() - began, error or "s", ok=not error)
    return not error


def weights_of(check: Check, folder: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    newest = max((check.work / folder / "checkpoints").glob("step-*"))
    return {
        f"{f.name} {n}": t for f in newest.glob("*.safetensors") for n, t in load_file(f).items()
    }


def apart(check: Check, one: str, other: str) -> float:
    """Largest difference between the newest checkpoints of two runs."""
    a, b = weights_of(check, one), weights_of(check, other)
    if a.keys() != b.keys():
        return float("inf")
    return max(
        float((a[k].double() - b[k].double()).abs().max())
        for k in a
        if a[k].is_floating_point() and a[k].numel()
    )


@section
def commands(check: Check) -> None:
    """Runs, stops, resumes, samples and exports as users do."""
    epochs = 2 if check.reduced else 6
    more = [
        "--set",
        f"train.epochs={epochs}",
        "--set",
        "sample=[]",
        "--set",
        "train.checkpoint_every_epochs=1",
    ]
    if check.reduced:
        more += [
            "--set",
            "backbone.channels=8",
            "--set",
            "backbone.head_width=8",
            "--set",
            "train.batch_images=500",
        ]
    device = ["--device", check.device.type]

    def trained(name: str, folder: str, *extra: object) -> bool:
        return tried(check, name, "run", "digits", *device, *more, "--folder", folder, *extra)

    trained("run digits", "a")
    trained("run digits again, elsewhere", "b")
    gap = apart(check, "a", "b")
    check.row(
        "commands",
        "  two equal runs: largest difference of their checkpoints",
        gap,
        "0 is bit for bit",
    )
    stopped(check, "c", ["run", "digits", *device, *more, "--folder", "c"])
    trained("  resumed", "c")
    resumed = apart(check, "a", "c")
    check.row(
        "commands",
        "  resumed beside undisturbed: largest difference",
        resumed,
        ok=resumed <= max(gap, 1e-12) * 10,
    )
    s = "--set"
    trained(
        "device store fp16, bfloat16, accumulation, flips, data on the device",
        "d",
        s,
        'targets={use="device",precision="float16"}',
        s,
        'train.precision="bfloat16"',
        s,
        "train.accumulation_steps=2",
        s,
        "train.flips=true",
        s,
        "train.data_on_device=true",
        s,
        "train.gradient_clip=1.0",
        s,
        "backbone.channels_last=true",
    )
    trained(
        "memory-mapped int8 store, float16, checkpointing",
        "e",
        s,
        'targets={use="mmap",precision="int8"}',
        s,
        'train.precision="float16"',
        s,
        "backbone.checkpointing=true",
    )
    if not check.reduced:
        trained("--preset gpu", "f", "--preset", "gpu")
    trained("one process of DDP (NCCL)", "g", "--nproc", 1)
    check.row("commands", "  DDP of one beside none: largest difference", apart(check, "a", "g"))
    trained(
        "the GPU's checkpoint on the CPU, one epoch more",
        "g",
        "--device",
        "cpu",
        s,
        f"train.epochs={epochs}",
    )
    for where in (check.device.type, "cpu"):
        tried(
            check,
            f"sample on {where}",
            "sample",
            "a",
            "--device",
            where,
            "--steps",
            1,
            "--steps",
            10,
            "--images",
            64,
            "--out",
            f"samples-{where}",
        )
    tried(check, "export as a torch program", "export", "a", "--format", "torch", "--out", "a.pt2")
    exported(check, check.work / "a.pt2")


def exported(check: Check, path: Path) -> None:
    """The exported generator's images on the device beside the CPU's."""
    from torch.export.passes import move_to_device_pass

    given = (*(torch.randn(8, 1, 8, 8) for _ in range(2)), torch.arange(8))
    with torch.no_grad():
        on_cpu: Any = torch.export.load(path).module()
        exact = on_cpu(*given)
        moved: Any = move_to_device_pass(torch.export.load(path), str(check.device)).module()
        found = moved(*(tensor.to(check.device) for tensor in given)).cpu()
    gap = float((found - exact).abs().max())
    title = "  the exported program on the device: largest difference to the CPU"
    check.row("commands", title, gap, ok=gap <= PROMISED)


def stopped(check: Check, folder: str, command: list[object]) -> None:
    """SIGTERM in the middle: saved, and exit code 75."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dddm", *map(str, command)],
        cwd=check.work,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while (
        not list((check.work / folder / "checkpoints").glob("step-*"))
        and process.poll() is None
        and time.monotonic() < until
    ):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        code = 124
    check.row(
        "commands",
        "stopped by SIGTERM after the first checkpoint: exit code",
        code,
        "0: it had finished",
        ok=code in {0, 75},
    )


ORDER: Final = (
    "machine",
    "objectives",
    "stores",
    "samples",
    "waiting",
    "commands",
    "rates",
    "sampling",
    "perceptual",
    "steps",
)


@click.command()
@click.option("--device", default="auto", show_default=True, help="auto, cuda or cpu.")
@click.option(
    "--out",
    default="gpu.json",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the rows are written.",
)
@click.option(
    "--minutes", default=8.0, show_default=True, help="What would begin later is skipped."
)
@click.option("--only", default="", help="Names of sections, separated by commas.")
@click.option("--reduced", is_flag=True, help="Small networks and few steps, as on a CPU.")
@click.option("--compile", "form", type=int, hidden=True, help="Compile one of the forms and stop.")
def main(
    device: str,
    out: Path,
    minutes: float,
    only: str,
    reduced: bool,  # noqa: FBT001
    form: int | None,
) -> None:
    """Print a table, write it as JSON; the exit code is the number of rows that failed."""
    warnings.filterwarnings("ignore")
    cuda = torch.cuda.is_available() and device != "cpu"
    with tempfile.TemporaryDirectory() as work:
        os.environ.setdefault("DDDM_CACHE", str(Path(work) / "cache"))
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(work) / "inductor"))
        check = Check(
            device=choose_device("cuda" if cuda else "cpu"),  # as commands do, with its settings
            reduced=reduced or not cuda,
            work=Path(work),
            out=out.absolute(),
            ends=time.monotonic() + 60 * minutes,
        )
        if form is not None:
            FORMS[form].step(check)()
            check.wait()
            return
        chosen = only.split(",") if only else list(ORDER)
        if check.cuda and not check.reduced and "rates" in chosen:
            check.precompiled = Precompiled(check)
            check.precompiled.start([one for one in FORMS if one.preset and one.gib])
        for name in chosen:
            if check.seconds_left < 15 and not check.reduced:
                check.row(name, "skipped", "", "no time left")
                continue
            began = time.monotonic()
            try:
                SECTIONS[name](check)
            except Exception as error:  # noqa: BLE001 - the next section is tried all the same
                lines = traceback.format_exc().strip().splitlines()
                check.row(
                    name,
                    type(error).__name__,
                    str(error)[:200],
                    " | ".join(lines[-5:-1])[:300],
                    ok=False,
                )
            check.row(name, "section took", time.monotonic() - began, "s")
            if check.cuda:
                torch.cuda.empty_cache()
        if check.precompiled is not None:
            check.precompiled.stop()
        failed = sum(row["ok"] is False for row in check.rows)
        check.row("all", "rows that failed", failed)
    sys.exit(min(failed, 99))


if __name__ == "__main__":
    main()
