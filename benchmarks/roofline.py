"""A bound on the time of a training step on a GPU, from its operators' numbers and bytes.

    python benchmarks/roofline.py

No GPU is needed and nothing is computed: a step is traced, forward and backward, with tensors that
have shapes alone.  An operator takes

    max(operations / (0.75 × rate of matrix products), bytes / rate of copies)

As written, each reads its inputs from memory, writes its outputs and takes 2.5 µs at least.
Compiled, all but matrix products, convolutions and attention is fused: a kernel begins where a
product or a sum over a feature map must be complete, reads once what is in memory, computes again
what is not, and writes what a product reads.  A real step is slower than its bound; RESULTS.md has
what an H200 took.

The rates are those of an H200 that `gpu.py` measured.  An H100's products are as fast; its memory
is slower by the ratio of the two cards' published bandwidths, 3.35 to 4.8 TB/s.
"""

import contextlib
import copy
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import torch
from gpu import Check, RandomVgg, Step
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from dddm.core.draws import Draws
from dddm.core.step import make_step
from dddm.interfaces.objective import Batch, TrainingProgress
from dddm_backbones import layers

COPIES: Final = {"H100": 3.0e12, "H200": 4.3e12}
REACHED: Final = 0.75
PEAK: Final = 790e12
PRODUCTS: Final = {torch.bfloat16: PEAK, torch.float32: 51e12}
TF32_PRODUCTS: Final = 397e12
LAUNCH: Final = 2.5e-6
SMALL: Final = 1 << 20
"""Tensors below so many bytes stay in the cache."""
MOST_READS: Final = 4
"""Of a value that is not in memory; with more it is written there."""
VIEWS: Final = frozenset(
    [
        "view",
        "_unsafe_view",
        "t",
        "transpose",
        "permute",
        "expand",
        "slice",
        "select",
        "unsqueeze",
        "squeeze",
        "detach",
        "alias",
        "as_strided",
        "split",
        "split_with_sizes",
        "getitem",
        "unbind",
    ]
)


@final
class Form(NamedTuple):
    """A form of the training step.

    Attributes:
        lpips: Pseudo-LPIPS at 224 pixels, whose trunk is in this precision; None for Pseudo-Huber.
    """

    recipe: str
    title: str
    batch: int
    preset: bool = True
    bfloat16: bool = True
    lpips: str | None = None


FORMS: Final = (
    Form("cifar10", "as printed", 1024, preset=False, bfloat16=False),
    Form("cifar10", "bfloat16", 1024, preset=False),
    Form("cifar10", "preset", 1024),
    Form("cifar10", "preset", 256),
    Form("cifar10", "as printed, LPIPS", 128, preset=False, bfloat16=False, lpips="float32"),
    Form("cifar10", "preset, LPIPS in TF32", 128, lpips="float32"),
    Form("cifar10", "preset, LPIPS in bfloat16", 128, lpips="bfloat16"),
    Form("imagenet64", "preset", 128),
)


@final
class Operator(NamedTuple):
    """What an operator does.

    Attributes:
        reads: names of tensors; a view has the name of what it shows.
        writes: likewise.
        operations: of a product, which is not fused; 0 for all else.
        seconds: that these take.
        reduces: whether an output needs all of an input.
    """

    reads: frozenset[str]
    writes: frozenset[str]
    operations: float
    seconds: float
    reduces: bool


@final
class Traced(NamedTuple):
    """The operators of a step in their order, the bytes of tensors, and which ones are kept."""

    operators: list[Operator]
    bytes: dict[str, int]
    kept: frozenset[str]

    def in_memory(self, names: Iterable[str]) -> int:
        """Bytes of those that are not small."""
        return sum(size for size in (self.bytes[name] for name in names) if size >= SMALL)


def trace(form: Form, check: Check) -> Traced:
    lpips = form.lpips and RandomVgg(
        size=224, bfloat16=form.lpips == "bfloat16", device=check.device
    )
    step = Step(
        check,
        form.recipe,
        batch=1,
        precision=torch.bfloat16 if form.bfloat16 else torch.float32,
        metric=lpips,
    )
    mode = FakeTensorMode()
    with FakeCopyMode(mode):
        fake: Step = copy.deepcopy(step)
    with mode, written_for_gpu(compiled=form.preset):
        parameters = list(fake.network.parameters())
        row_B = torch.arange(form.batch)
        label = None if fake.label is None else torch.zeros(form.batch, dtype=torch.long)

        def gradients(x_0: Tensor, estimate: Tensor, noise: Tensor, t: Tensor) -> Any:
            outcome = make_step(
                fake.parts,
                batch=Batch(index=row_B, x_0=x_0, label=label, rows=row_B),
                draws=Draws(values={"t": t, "noise": noise}, flipped=None),
                memory={"estimate": estimate},
                progress=TrainingProgress(step=1, total_steps=2, epoch=1),
            )
            return torch.autograd.grad(outcome.loss, parameters), outcome.memory

        times = torch.ones(form.batch, dtype=torch.long)
        size = (form.batch, *step.shape.as_tuple)
        graph = make_fx(gradients)(*(torch.empty(size) for _ in range(3)), times)
    return read(graph.graph, tf32=form.preset)


@contextlib.contextmanager
def written_for_gpu(*, compiled: bool) -> Iterator[None]:
    """Group norm as on a GPU: by moments where it is compiled, and else in float32 by autocast."""
    before: Any = layers.normed

    def eager(x: Tensor, groups: int, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        return functional.group_norm(x.float(), groups, weight, bias, epsilon)

    chosen: Any = layers.norm_by_moments if compiled else eager
    layers.normed = chosen
    try:
        yield
    finally:
        layers.normed = before


def read(graph: fx.Graph, *, tf32: bool) -> Traced:
    shown: dict[fx.Node, str] = {}
    sizes: dict[str, int] = {}
    operators: list[Operator] = []
    kept: frozenset[str] = frozenset()
    for node in graph.nodes:
        if node.op == "output":
            kept = frozenset(shown[one] for one in node.all_input_nodes)
            continue
        name = getattr(node.target, "__name__", str(node.target)).split(".")[0]
        inputs = node.all_input_nodes
        if node.op == "call_function" and inputs and (name in VIEWS):
            shown[node] = shown[inputs[0]]
            continue
        shown[node] = node.name
        tensors = [one for one in tree_leaves(node.meta.get("val")) if isinstance(one, Tensor)]
        sizes[node.name] = sum(one.numel() * one.element_size() for one in tensors)
        if node.op != "call_function":
            continue
        operations = operations_of(node)
        rate = PRODUCTS.get(tensors[0].dtype, PEAK) if tensors else PEAK
        if tf32 and tensors and tensors[0].dtype == torch.float32:
            rate = TF32_PRODUCTS
        largest = max((_numel(one) for one in inputs), default=0)
        operators.append(
            Operator(
                reads=frozenset(shown[one] for one in inputs),
                writes=frozenset([node.name]),
                operations=operations,
                seconds=operations / (REACHED * rate),
                reduces=8 * _numel(node) <= largest,
            )
        )
    return Traced(operators, sizes, kept)


def _numel(node: fx.Node) -> int:
    return sum(one.numel() for one in tree_leaves(node.meta.get("val")) if isinstance(one, Tensor))


def operations_of(node: fx.Node) -> float:
    """Of a matrix product, a convolution or attention; 0 for all else."""
    packet = getattr(node.target, "overloadpacket", None)
    given: list[Any] = [one.meta["val"] if isinstance(one, fx.Node) else one for one in node.args]
    if packet in flop_registry:
        return float(flop_registry[packet](*given, **node.kwargs, out_val=node.meta["val"]))
    if "scaled_dot_product" not in str(node.target):
        return 0.0
    # The CPU's, of q, k, v (B, heads, S, D), before which a backward pass is given a gradient.
    backward = "backward" in str(node.target)
    batch, heads, length, width = given[1 if backward else 0].shape
    return float((10 if backward else 4) * batch * heads * length**2 * width)


@final
class Bound(NamedTuple):
    """Of a step: kernels at least, bytes to and from memory, and seconds."""

    kernels: int
    bytes: float
    seconds: float


def eager(step: Traced, *, copies: float) -> Bound:
    """Each operator is a kernel."""
    moved = [sum(step.bytes[name] for name in (*one.reads, *one.writes)) for one in step.operators]
    seconds = (
        max(one.seconds, size / copies, LAUNCH)
        for one, size in zip(step.operators, moved, strict=True)
    )
    return Bound(len(moved), sum(moved), sum(seconds))


def fused(step: Traced, *, copies: float) -> Bound:
    """Products are kernels; between them a value is computed from what is in memory.

    Values that are ready at the same time are computed by the same kernel.
    """
    fed = {name for one in step.operators if one.operations for name in one.reads}
    made = {name: one for one in step.operators for name in one.writes}
    sources: dict[str, frozenset[str]] = {}
    """In memory: itself.  Else: what it is computed from."""
    ready: dict[str, int] = {}
    reads: dict[int, set[str]] = {}
    writes: dict[int, set[str]] = {}
    products = []
    for name in step.bytes:
        one = made.get(name)
        if one is None:  # weights and images
            sources[name], ready[name] = frozenset([name]), 0
            continue
        when = max((ready[read] for read in one.reads), default=0)
        needed = frozenset().union(*(sources[read] for read in one.reads))
        if one.operations:
            products.append((one.seconds, step.in_memory((*one.reads, *one.writes))))
            sources[name], ready[name] = frozenset([name]), when + 1
            continue
        large = sum(step.bytes[read] >= SMALL for read in needed)
        if one.reduces or name in fed or name in step.kept or large > MOST_READS:
            reads.setdefault(when, set()).update(needed)
            writes.setdefault(when, set()).add(name)
            needed = frozenset([name])
        sources[name], ready[name] = needed, when + one.reduces
    products += [
        (0.0, step.in_memory(writes[when] | (reads[when] - writes[when]))) for when in writes
    ]
    seconds = (max(needed, size / copies, LAUNCH) for needed, size in products)
    return Bound(len(products), sum(size for _, size in products), sum(seconds))


def main() -> None:
    print(f"{'form':42} {'batch':>5}  {'card':4} {'kernels':>7} {'GB':>6} {'ms':>6}  share")
    with tempfile.TemporaryDirectory() as work:
        check = Check(
            device=torch.device("cpu"),
            reduced=False,
            work=Path(work),
            out=Path(work) / "rows.json",
            ends=time.monotonic() + 3600,
        )
        for form in FORMS:
            step = trace(form, check)
            operations = sum(one.operations for one in step.operators)
            for card, copies in COPIES.items():
                bound = (fused if form.preset else eager)(step, copies=copies)
                share = operations / bound.seconds / PEAK
                print(
                    f"{form.recipe + ', ' + form.title:42} {form.batch:5}  {card:4} "
                    f"{bound.kernels:7} {bound.bytes / 1e9:6.0f} {1e3 * bound.seconds:6.0f}  "
                    f"{100 * share:4.0f} %",
                    flush=True,
                )


if __name__ == "__main__":
    main()
