"""Attention and the transformer against their formulas, and the tokens of x̂.

Legend: B images, C channels, N places, M tokens, K heads, D channels of a head, P width
of a token, W width of the transformer.
"""

from collections.abc import Callable

import pytest
import torch
from perturbing import noise, perturb
from torch import Tensor
from torch.nn import functional

from dddm.interfaces.info import ImageShape
from dddm_backbones.attention import (
    Attention,
    EstimatePixels,
    EstimateTokens,
    Transformer,
    attend,
)

Attending = Callable[[Tensor, Tensor, Tensor], Tensor]
WIDTH = 12


def by_hand(
    attention: Attention, x_BCHW: Tensor, token_BMP: Tensor | None, *, heads: int
) -> Tensor:
    """The same, with one softmax over the keys of the map and of x̂ side by side."""
    weight = attention.state_dict()
    h_BCHW = functional.group_norm(x_BCHW, 2, weight["norm.weight"], weight["norm.bias"])
    h_BNC = torch.einsum("bcn->bnc", h_BCHW.flatten(2))
    keys, values = [], []
    for name, source in (("key_value", h_BNC), ("token_key_value", token_BMP)):
        if source is not None and f"{name}.weight" in weight:
            both = source @ weight[f"{name}.weight"].T + weight[f"{name}.bias"]
            keys.append(both[..., :8])
            values.append(both[..., 8:])
    query_BNC = h_BNC @ weight["query.weight"].T + weight["query.bias"]
    q, k, v = (
        part.reshape(len(part), -1, heads, 8 // heads)
        for part in (query_BNC, torch.cat(keys, dim=1), torch.cat(values, dim=1))
    )
    scores = torch.einsum("bnkd,bmkd->bknm", q, k) / (8 // heads) ** 0.5
    attended_BNC = torch.einsum("bknm,bmkd->bnkd", scores.softmax(-1), v).flatten(2)
    out_BNC = attended_BNC @ weight["output.weight"].T + weight["output.bias"]
    return x_BCHW + torch.einsum("bnc->bcn", out_BNC).reshape(x_BCHW.shape)


@pytest.mark.parametrize("heads", [1, 2, 8])
@pytest.mark.parametrize(
    ("tokens", "itself"), [(None, True), (5, True), (5, False)], ids=["self", "both", "cross"]
)
def test_attention_equals_a_plain_softmax(heads: int, tokens: int | None, *, itself: bool) -> None:
    """Alone, with x̂ beside its own keys, and with x̂ only: all as their formula says."""
    attention = Attention(8, heads=heads, tokens=tokens, self_attention=itself)
    perturb(attention, size=0.5)
    x_BCHW = noise(3, 8, 2, 4)
    token_BMP = None if tokens is None else noise(3, 6, tokens, seed=1)
    expected = by_hand(attention, x_BCHW, token_BMP, heads=heads)
    torch.testing.assert_close(attention(x_BCHW, token_BMP), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("heads", [1, 4])
def test_attending_in_bfloat16_is_as_near_to_float32_as_the_kernel_of_torch(heads: int) -> None:
    """On a CPU it is written as two products; output and gradients lose no more than by torch's."""
    given = [noise(3, places, 16, seed=places) for places in (7, 12, 13)]
    query, key, value = given[0], given[1], given[2][:, :12]

    def results(attending: Attending, dtype: torch.dtype) -> Tensor:
        parts = [part.to(dtype).requires_grad_() for part in (query, key, value)]
        out = attending(*parts)
        gradients = torch.autograd.grad((out.float() * noise(*out.shape, seed=1)).sum(), parts)
        return torch.cat([each.float().flatten() for each in (out.detach(), *gradients)])

    def ours(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attend(query, key, value, heads=heads)

    def kernel(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = (
            part.reshape(3, -1, heads, 16 // heads).transpose(1, 2) for part in (query, key, value)
        )
        attended: Tensor = functional.scaled_dot_product_attention(q, k, v)
        return attended.transpose(1, 2).flatten(2)

    exact = results(kernel, torch.float32)
    torch.testing.assert_close(results(ours, torch.float32), exact)
    error = (results(ours, torch.bfloat16) - exact).norm()
    assert error < 1.5 * (results(kernel, torch.bfloat16) - exact).norm()
    assert error < 0.01 * exact.norm()


def test_attention_begins_as_nothing() -> None:
    """Before training the map passes unchanged."""
    x_BCHW = noise(2, 8, 2, 2)
    attention = Attention(8, heads=2, tokens=5)
    assert torch.equal(attention(x_BCHW, noise(2, 4, 5)), x_BCHW)


def test_attention_without_tokens_ignores_them() -> None:
    """A block that x̂ does not enter gives the same with tokens at hand."""
    attention, x_BCHW = Attention(8, heads=2), noise(2, 8, 2, 2)
    perturb(attention)
    assert torch.equal(attention(x_BCHW, noise(2, 4, 5)), attention(x_BCHW))


@pytest.mark.parametrize("size", [(8, 8, 2), (16, 32, 4), (4, 4, 4), (6, 2, 3)])
def test_tokens_are_patches_in_the_order_of_the_places(size: tuple[int, int, int]) -> None:
    """Token n is the weighted patch that lies under place n, plus the position of place n."""
    height, width, rows = size
    tokens = EstimateTokens(
        shape=ImageShape(channels=3, height=height, width=width),
        height=rows,
        width_of_token=5,
        positions=True,
    )
    assert tokens.position is not None
    assert tokens.patches.bias is not None
    estimate_BCHW, patch = noise(2, 3, height, width), height // rows
    columns = width // patch
    weight, bias = tokens.patches.weight.flatten(1), tokens.patches.bias
    out_BMP = tokens(estimate_BCHW)
    assert out_BMP.shape == (2, rows * columns, 5)
    for place in range(rows * columns):
        top, left = patch * (place // columns), patch * (place % columns)
        piece = estimate_BCHW[:, :, top : top + patch, left : left + patch].flatten(1)
        expected = piece @ weight.T + bias + tokens.position[0, place]
        torch.testing.assert_close(out_BMP[:, place], expected, atol=1e-5, rtol=1e-5)


def test_attention_to_tokens_does_not_ask_for_their_order() -> None:
    """Permuting tokens changes nothing: what tells places of x̂ apart is their position alone."""
    attention = Attention(8, heads=2, tokens=5)
    perturb(attention, size=0.5)
    x_BCHW, token_BMP = noise(2, 8, 2, 2), noise(2, 6, 5, seed=1)
    shuffled = token_BMP[:, [3, 0, 5, 1, 4, 2]]
    torch.testing.assert_close(
        attention(x_BCHW, token_BMP), attention(x_BCHW, shuffled), atol=1e-5, rtol=1e-5
    )


def transformer_by_hand(
    weight: dict[str, Tensor], x_BCHW: Tensor, token_BMP: Tensor, *, heads: int
) -> Tensor:
    """The same, from its definition: two groups, an epsilon of 1e-6, products by einsum."""

    def linear(name: str, x: Tensor) -> Tensor:
        bias = weight.get(f"{name}.bias", torch.zeros(()))
        return torch.einsum("bni,oi->bno", x, weight[f"{name}.weight"]) + bias

    def norm(name: str, x: Tensor) -> Tensor:
        spread = (x.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
        ready = (x - x.mean(2, keepdim=True)) / spread
        return ready * weight[f"{name}.weight"] + weight[f"{name}.bias"]

    def attend(name: str, x: Tensor, context: Tensor) -> Tensor:
        query = linear(f"{name}.query", x)
        key, value = linear(f"{name}.key_value", context).chunk(2, dim=2)
        q, k, v = (part.reshape(len(x), -1, heads, WIDTH // heads) for part in (query, key, value))
        scores = torch.einsum("bnkd,bmkd->bknm", q, k) / (WIDTH // heads) ** 0.5
        attended = torch.einsum("bknm,bmkd->bnkd", scores.softmax(-1), v).flatten(2)
        return linear(f"{name}.output", attended)

    normed = functional.group_norm(x_BCHW, 2, weight["norm.weight"], weight["norm.bias"], 1e-6)
    h = linear("project_in", torch.einsum("bcn->bnc", normed.flatten(2)))
    h = h + attend("self_attention", norm("self_norm", h), norm("self_norm", h))
    h = h + attend("cross_attention", norm("cross_norm", h), linear("project_tokens", token_BMP))
    value, gate = linear("feed_forward_in", norm("feed_forward_norm", h)).chunk(2, dim=2)
    gelu = gate * 0.5 * (1 + torch.erf(gate / 2**0.5))
    h = h + linear("feed_forward_out", value * gelu)
    return x_BCHW + torch.einsum("bnc->bcn", linear("project_out", h)).reshape(x_BCHW.shape)


@pytest.mark.parametrize("heads", [1, 3])
def test_a_transformer_equals_one_written_by_hand(heads: int) -> None:
    """With every weight perturbed, the block computes what its definition says."""
    transformer = Transformer(8, width=WIDTH, heads=heads, tokens=5)
    perturb(transformer, size=0.3)
    x_BCHW, token_BMP = noise(3, 8, 2, 4), noise(3, 6, 5, seed=1)
    expected = transformer_by_hand(transformer.state_dict(), x_BCHW, token_BMP, heads=heads)
    torch.testing.assert_close(transformer(x_BCHW, token_BMP), expected, atol=1e-5, rtol=1e-5)


def test_a_transformer_begins_as_nothing() -> None:
    """Before training the map passes unchanged."""
    x_BCHW = noise(2, 8, 2, 2)
    transformer = Transformer(8, width=WIDTH, heads=2, tokens=5)
    assert torch.equal(transformer(x_BCHW, noise(2, 4, 5)), x_BCHW)


def test_a_transformer_projects_with_the_biases_of_the_reference() -> None:
    """Queries, keys and values have none; the projections, the output and GEGLU have theirs."""
    names = {name for name, _ in Transformer(8, width=WIDTH, heads=2, tokens=5).named_parameters()}
    without = {
        f"{part}.{one}"
        for part in ("self_attention", "cross_attention")
        for one in ("query", "key_value")
    }
    layers = {name.rpartition(".")[0] for name in names}
    assert {layer for layer in layers if f"{layer}.bias" not in names} == without


@pytest.mark.parametrize("positions", [True, False])
def test_tokens_are_pixels_in_the_order_of_rows(*, positions: bool) -> None:
    """Token m is the pixel at row m // W and column m % W, with the position of that place."""
    shape = ImageShape(channels=3, height=2, width=4)
    pixels = EstimatePixels(shape=shape, width_of_position=5, positions=positions)
    estimate_BCHW = noise(2, *shape.as_tuple)
    out_BMP = pixels(estimate_BCHW)
    assert out_BMP.shape == (2, 8, pixels.width)
    assert pixels.width == (8 if positions else 3)
    for place in range(8):
        assert torch.equal(out_BMP[:, place, :3], estimate_BCHW[:, :, place // 4, place % 4])
        if pixels.position is not None:
            assert torch.equal(out_BMP[1, place, 3:], pixels.position[0, place])
