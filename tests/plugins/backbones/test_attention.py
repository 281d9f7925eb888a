"""Attention against a plain softmax, and the tokens of x̂ against their patches.

Legend: B images, C channels, N places, M tokens, K heads, D = C/K, P width of a token.
"""

from collections.abc import Callable

import pytest
import torch
from perturbing import noise, perturb
from torch import Tensor
from torch.nn import functional

from dddm.interfaces.info import ImageShape
from dddm_backbones.attention import Attention, EstimateTokens, attend

Attending = Callable[[Tensor, Tensor, Tensor], Tensor]


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


def test_attention_says_whether_it_sees_the_estimate() -> None:
    """Only a block with keys for tokens lets x̂ in."""
    assert Attention(8, heads=2, tokens=5).sees_estimate
    assert not Attention(8, heads=2).sees_estimate


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


def test_positions_are_there_only_when_asked_for() -> None:
    """Without positions there is nothing to learn beside the patches."""
    tokens = EstimateTokens(
        shape=ImageShape(channels=1, height=4, width=4),
        height=2,
        width_of_token=3,
        positions=False,
    )
    assert {name for name, _ in tokens.named_parameters()} == {"patches.weight", "patches.bias"}


def test_attention_to_tokens_does_not_ask_for_their_order() -> None:
    """Permuting tokens changes nothing: what tells places of x̂ apart is their position alone."""
    attention = Attention(8, heads=2, tokens=5)
    perturb(attention, size=0.5)
    x_BCHW, token_BMP = noise(2, 8, 2, 2), noise(2, 6, 5, seed=1)
    shuffled = token_BMP[:, [3, 0, 5, 1, 4, 2]]
    torch.testing.assert_close(
        attention(x_BCHW, token_BMP), attention(x_BCHW, shuffled), atol=1e-5, rtol=1e-5
    )
