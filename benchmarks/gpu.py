"""Proves dddm on one GPU and times it, in at most eight minutes.

    python benchmarks/gpu.py [--out gpu.json] [--minutes 8] [--only stores,rates] [--device cuda]

Correctness: every store, the objective's step beside the CPU, samples within the bound that the
documentation promises, two equal runs, a run that is stopped and resumed, autocast, export.
Speed: the chip's matrix rate and bandwidth, training steps of cifar10 and imagenet64 in the
recipe's form and in faster ones, host synchronisations by line, kernels by kind, sampling.

LPIPS runs with random weights in VGG16, so that no file is needed: its time is the same.  On a
machine without a GPU everything runs in a reduced form, which proves the script and nothing else.
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
from dddm.core.draws import draw
from dddm.core.ema import MovingAverage
from dddm.core.step import StepParts, make_step, refuse_not_finite
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import Batch, TrainingProgress
from dddm.interfaces.shards import Shards
from dddm.recipe.model import Recipe
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.support.images import to_uint8
from dddm.support.noise import generator_for, noise_by_index
from dddm.support.torchvision_operators import import_torchvision
from dddm.train.build import build_metric
from dddm.train.device import choose_device
from dddm.train.network import build_objective, build_parametrization, build_schedule
from dddm.train.optimizer import build_optimizer

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
    rows: list[dict[str, Any]] = field(factory=list)

    def row(
        self, section: str, name: str, value: object, unit: str = "", *, ok: bool | None = None
    ) -> None:
        """Print a row of the table and write everything found so far."""
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        mark = {True: "ok", False: "FAIL", None: ""}[ok]
        print(f"{mark:4} {section:8} {name[:70]:70} {shown:>12} {unit}", flush=True)
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
        fused: bool = False,
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
        self.schedule = build_schedule(self.recipe)
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
            metric=metric or build_metric(self.recipe, device=self.device),
        )
        parameters = list(self.network.parameters())
        self.optimizer = (
            torch.optim.Adam(parameters, lr=2e-4, fused=True)
            if fused
            else build_optimizer(self.recipe.optimizer, parameters=parameters, learning_rate=2e-4)
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


@section
def steps(check: Check) -> None:
    """The objective's step and gradient beside the CPU's; bits that repeat."""
    batch = 4 if check.reduced else 16
    here = Step(check, "cifar10", "backbone.dropout=0", batch=batch)
    cpu = Step(check, "cifar10", "backbone.dropout=0", batch=batch, device=torch.device("cpu"))
    cpu.network.load_state_dict({n: t.cpu() for n, t in here.network.state_dict().items()})
    loss = cpu.gradient(draws_on=torch.device("cpu"))
    exact = torch.cat([p.grad.flatten() for p in cpu.network.parameters() if p.grad is not None])
    for kind, bound in (("ieee", 1e-4), ("default", 5e-3), ("tf32", 2e-2)):
        with fp32_as(kind):
            found = here.gradient(draws_on=torch.device("cpu"))
        gradient = torch.cat(
            [p.grad.flatten().cpu() for p in here.network.parameters() if p.grad is not None]
        )
        off = float((gradient - exact).norm() / exact.norm())
        check.row(
            "steps",
            f"float32 as {kind}: gradient beside the CPU's, relative",
            off,
            f"loss {found:.7g}, {loss:.7g}",
            ok=off <= bound,
        )
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


@section
def rates(check: Check) -> None:
    """Training steps in the recipe's form and in faster ones."""
    bf16 = torch.bfloat16
    last = "backbone.channels_last=true"
    peak = next((r["value"] for r in check.rows if r["name"] == "matrix product, bfloat16"), None)
    plan: list[tuple[str, str, tuple[str, ...], dict[str, Any]]] = [
        ("cifar10", "recipe: float32", (), {"batch": 256}),
        ("cifar10", "bfloat16", (), {"batch": 256, "precision": bf16}),
        ("cifar10", "bfloat16, channels last", (last,), {"batch": 256, "precision": bf16}),
        (
            "cifar10",
            "bfloat16, channels last, no waiting, fused",
            (last,),
            {"batch": 256, "precision": bf16, "synchronise": False, "fused": True},
        ),
        (
            "cifar10",
            "bfloat16, channels last, no waiting, fused, compiled",
            (last,),
            {
                "batch": 256,
                "precision": bf16,
                "synchronise": False,
                "fused": True,
                "compiled": True,
            },
        ),
        (
            "cifar10",
            "the same, 1,024 images",
            (last,),
            {
                "batch": 1024,
                "precision": bf16,
                "synchronise": False,
                "fused": True,
                "compiled": True,
            },
        ),
        ("cifar10", "recipe: Pseudo-LPIPS at 224, float32", (), {"batch": 64, "lpips": False}),
        (
            "cifar10",
            "Pseudo-LPIPS at 224, all bfloat16, channels last",
            (last,),
            {"batch": 64, "lpips": True, "precision": bf16},
        ),
        ("imagenet64", "recipe: float32, Pseudo-Huber", (), {"batch": 32}),
        ("imagenet64", "bfloat16, channels last", (last,), {"batch": 128, "precision": bf16}),
    ]
    for name, title, overrides, how in plan:
        if check.reduced and how.get("compiled"):
            continue
        if check.seconds_left < (150 if how.get("compiled") else 20):
            check.row("rates", f"{name}, {title}", "skipped", "no time left")
            continue
        try:
            rate_of(check, name, title, overrides, dict(how), peak)
        except torch.cuda.OutOfMemoryError as error:
            check.row("rates", f"{name}, {title}", "out of memory", str(error)[:120])
        if check.cuda:
            torch.cuda.empty_cache()
        torch._dynamo.reset()


def rate_of(
    check: Check,
    name: str,
    title: str,
    overrides: tuple[str, ...],
    how: dict[str, Any],
    peak: float | None,
) -> None:
    if check.reduced:
        how["batch"] = 2
    if "lpips" in how:
        bfloat16 = how.pop("lpips")
        how["metric"] = RandomVgg(
            size=32 if check.reduced else 224,
            bfloat16=bfloat16,
            device=check.device,
            channels_last=bfloat16,
        )
    if check.cuda:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    step = Step(check, name, *overrides, **how)
    step()
    check.wait()
    first = time.perf_counter() - began
    seconds = check.seconds(step, repeat=8, warm=2)
    rate = step.flops() * step.batch / seconds / 1e12
    share = f", {100 * rate / peak:.0f} % of a bf16 product" if peak and check.cuda else ""
    memory = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if check.cuda else ""
    check.row(
        "rates",
        f"{name}, {title}, batch {step.batch}",
        1e3 * seconds,
        f"ms; {step.batch / seconds:.0f} images/s; network {rate:.0f} TFLOP/s{share}{memory}; "
        f"first {first:.0f} s",
    )
    if check.cuda and title == "bfloat16, channels last" and name == "cifar10":
        synchronisations(check, step)
        kernels(check, step)


def synchronisations(check: Check, step: Step) -> None:
    """Where a step makes the host wait for the device."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step(1)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    where = Counter(
        f"{Path(w.filename).name}:{w.lineno}" for w in said if "synchroniz" in str(w.message)
    )
    check.row(
        "rates",
        "  synchronisations in that step",
        sum(where.values()),
        " ".join(f"{k}×{n}" for k, n in where.items())[:300],
    )


KINDS: Final = (
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
    count = 0
    for event in profiled.events() or ():
        if event.device_type.name == "CUDA":
            name = event.name.lower()
            kind = next((k for k, pattern in KINDS if re.search(pattern, name)), "other")
            spent[kind] += event.device_time
            count += 1
    busy = sum(spent.values())
    check.row("rates", "  kernels in that step", count, f"{busy / 1e3:.1f} ms busy")
    for kind, microseconds in spent.most_common():
        check.row(
            "rates", f"    {kind}", microseconds / 1e3, f"ms, {100 * microseconds / busy:.0f} %"
        )


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
        trained("compiled", "f", s, "train.compile=true")
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
def main(device: str, out: Path, minutes: float, only: str, reduced: bool) -> None:  # noqa: FBT001
    """Print a table, write it as JSON; the exit code is the number of rows that failed."""
    warnings.filterwarnings("ignore")
    cuda = torch.cuda.is_available() and device != "cpu"
    with tempfile.TemporaryDirectory() as work:
        os.environ.setdefault("DDDM_CACHE", str(Path(work) / "cache"))
        check = Check(
            device=choose_device("cuda" if cuda else "cpu"),  # as commands do, with its settings
            reduced=reduced or not cuda,
            work=Path(work),
            out=out.absolute(),
            ends=time.monotonic() + 60 * minutes,
        )
        chosen = (
            only.split(",") if only else [name for name in SECTIONS if name != "rates"] + ["rates"]
        )
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
        failed = sum(row["ok"] is False for row in check.rows)
        check.row("all", "rows that failed", failed)
    sys.exit(min(failed, 99))


if __name__ == "__main__":
    main()
