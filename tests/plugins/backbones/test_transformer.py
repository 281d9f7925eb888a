"""The transformer form against one written out, and the pixels of x̂ as tokens.

Legend: B images, C channels, N places, M tokens, K heads, D = W/K, W width, P width of a token.
"""

import pytest
import torch
from perturbing import noise, perturb
from torch import Tensor
from torch.nn import functional

from dddm.interfaces.info import ImageShape
from dddm_backbones.attention import EstimatePixels, Transformer

WIDTH = 12


def by_hand(weight: dict[str, Tensor], x_BCHW: Tensor, token_BMP: Tensor, *, heads: int) -> Tensor:
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
    expected = by_hand(transformer.state_dict(), x_BCHW, token_BMP, heads=heads)
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
