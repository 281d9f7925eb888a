"""The network under autocast and torch.compile, in all its forms.

Legend: B images, C channels, H rows, W columns.
"""

from typing import Any

import pytest
import torch
from perturbing import noise, perturb
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend

from dddm.interfaces.info import ImageShape
from dddm_backbones import layers
from dddm_backbones.adm import Adm
from dddm_backbones.options import AdmOptions

WAYS = ["attention", "cross-attention", "transformer", "concatenation"]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels last, checkpointing": {"channels_last": True, "checkpointing": True},
    "updown blocks": {"updown_blocks": True, "scale_shift_norm": False},
}
SHAPE = ImageShape(channels=3, height=8, width=8)
PRECISIONS = [
    pytest.param(torch.bfloat16, 0.04, id="bfloat16"),
    pytest.param(torch.float16, 0.004, id="float16"),
]


def network(**changes: Any) -> Adm:
    """A small network with classes, away from where it begins."""
    small: dict[str, Any] = {
        "channels": 8,
        "multipliers": (1, 2),
        "blocks": 1,
        "attention": (4,),
        "head_width": 4,
        "classes": True,
    }
    adm = Adm(AdmOptions(**(small | changes)), shape=SHAPE, classes=3)
    perturb(adm, size=0.2)
    return adm


def inputs(*, count: int = 3) -> dict[str, Tensor]:
    return {
        "estimate": noise(count, *SHAPE.as_tuple, seed=2),
        "x_t": noise(count, *SHAPE.as_tuple, seed=3),
        "t": torch.linspace(1, 1000, count),
        "label": torch.arange(count) % 3,
    }


def gradient_of(adm: Adm, raw: Tensor) -> Tensor:
    """Of a sum over F, of all weights, in one vector."""
    scalar = (raw.float() * noise(*raw.shape, seed=4)).sum()
    gradients = torch.autograd.grad(scalar, list(adm.parameters()))
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
    return torch.cat([gradient.flatten() for gradient in gradients])


def difference(found: Tensor, exact: Tensor) -> float:
    """Of two vectors, as a part of the second one's norm."""
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("precision", "within"), PRECISIONS)
def test_autocast_gives_nearly_the_same(
    estimate: str, options: dict[str, Any], precision: torch.dtype, within: float
) -> None:
    """F is within 4 % of float32's in bfloat16 and 0.4 % in float16, its gradient in 10 and 1 %."""
    adm, given = network(estimate=estimate, **options), inputs()
    with torch.autocast("cpu", dtype=precision):
        raw = adm(**given)
    assert raw.dtype == precision
    exact = adm(**given)
    gradient, exact_gradient = gradient_of(adm, raw), gradient_of(adm, exact)
    assert gradient.isfinite().all()
    assert difference(raw.detach().float(), exact.detach()) < within
    assert difference(gradient, exact_gradient) < 2.5 * within


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_autocast_leaves_sinusoids_and_the_weights_of_norms_in_float32(
    precision: torch.dtype,
) -> None:
    """Times 999 and 1000 are one number in bfloat16; what a norm divides by stays exact."""
    adm, seen = network(), list[Tensor]()
    adm.embedding.time[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    given = inputs(count=2) | {"t": torch.tensor([999.0, 1000.0])}
    with torch.no_grad(), torch.autocast("cpu", dtype=precision):
        adm(**given)
    (waves,) = seen
    assert waves.dtype == torch.float32
    assert (waves[0] - waves[1]).abs().max() > 0.5
    norms = [module for module in adm.modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.weight.dtype for norm in norms} == {torch.float32}


@pytest.mark.parametrize(
    "options",
    [{}, {"estimate": "transformer"} | OPTIONS["channels last, checkpointing"]],
    ids=str,
)
@pytest.mark.filterwarnings(
    "ignore:Guards may run slower:RuntimeWarning",
    # The compiler looks at what `begin` returned, and warns of its own look.
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning",
)
def test_compiled_begin_and_refine_give_the_same(options: dict[str, Any]) -> None:
    """Each is one whole graph, and F and its gradient are those of the code as written.

    The graph is run eagerly: what a compiler makes of it is not tested here, and slow.
    """
    torch.compiler.reset()
    adm, given = network(**options), inputs()
    begin = torch.compile(adm.begin, backend="eager", fullgraph=True)
    refine = torch.compile(adm.refine, backend="eager", fullgraph=True)
    cache = begin(x_t=given["x_t"], t=given["t"], label=given["label"])
    raw, expected = refine(cache, estimate=given["estimate"]), adm(**given)
    torch.testing.assert_close(raw, expected, atol=1e-5, rtol=1e-5)
    gradient, expected_gradient = gradient_of(adm, raw), gradient_of(adm, expected)
    assert difference(gradient, expected_gradient) < 1e-5


def block_and_inputs() -> tuple[layers.ResidualBlock, Tensor, Tensor]:
    """A block of two norms, a feature map with its channels last, and an embedding."""
    block = layers.ResidualBlock(8, 12, embedding=5, dropout=0.0, scale_shift_norm=True)
    perturb(block, size=0.2)
    block.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's
    x_BCHW = noise(2, 8, 6, 6, seed=2).to(memory_format=torch.channels_last)
    return block, x_BCHW.requires_grad_(), noise(2, 5, seed=3)


@pytest.mark.parametrize(
    ("precision", "within"),
    [
        pytest.param(torch.float32, 1e-5, id="float32"),
        pytest.param(torch.bfloat16, 0.02, id="bf16"),
    ],
)
def test_compiled_as_for_a_gpu_the_norms_give_the_same(
    precision: torch.dtype, within: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block and the gradients of its input and weights, with every norm by moments."""
    torch.compiler.reset()
    block, x_BCHW, embedding_BE = block_and_inputs()
    expected = block(x_BCHW, embedding_BE)
    monkeypatch.setattr(layers, "_is_compiled_for_gpu", lambda _: torch.compiler.is_compiling())
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, examples: list[Any]) -> Any:
        graphs.append(graph)
        return lookup_backend("aot_eager")(graph, examples)

    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        found = torch.compile(block, backend=keep, fullgraph=True)(x_BCHW, embedding_BE)
    assert difference(found.detach().float(), expected.detach()) < within
    both = [
        torch.autograd.grad(
            (y.float() * noise(*y.shape, seed=4)).sum(), [x_BCHW, *block.parameters()]
        )
        for y in (found, expected)
    ]
    for one, other in zip(*both, strict=True):
        assert difference(one, other) < 2.5 * within
    (graph,) = graphs
    called = [str(node.target) for node in graph.graph.nodes]
    assert sum("rsqrt" in name for name in called) == 2
    assert not any("group_norm" in name for name in called)


def test_no_norm_is_by_moments_where_nothing_is_compiled_for_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither as written, nor compiled for a CPU, whose numbers are recorded."""
    torch.compiler.reset()
    block, *given = block_and_inputs()
    monkeypatch.setattr(layers, "norm_by_moments", None)  # which nothing can call
    block(*given)
    torch.compile(block, backend="eager", fullgraph=True)(*given)
