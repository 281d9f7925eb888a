"""The transformer as F_θ(x̂, x_t, t): what holds whatever its weights are."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dddm.errors import RecipeError
from dddm.interfaces.info import ImageShape
from dddm_plugin_example.dit import Cache, Dit
from dddm_plugin_example.layers import Block, positions, waves
from dddm_plugin_example.options import DitOptions

GREY = ImageShape(channels=1, height=8, width=8)
WIDE = ImageShape(channels=3, height=4, width=12)
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "the estimate from the start": {"estimate_from": 0},
    "patches of one pixel": {"patch": 1},
    "without classes": {"classes": False},
}
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(*, shape: ImageShape = GREY, moved: bool = True, **changes: Any) -> Dit:
    """A small network for three classes, away from where it begins, in evaluation mode."""
    small: dict[str, Any] = {"width": 16, "blocks": 3, "heads": 2, "classes": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        dit = Dit(DitOptions(**(small | changes)), shape=shape, classes=3)
        if moved:
            for parameter in dit.parameters():
                parameter.data += 0.2 * torch.randn_like(parameter)
    return dit.eval()


def inputs(*, shape: ImageShape = GREY, count: int = 3) -> dict[str, Tensor]:
    """What a network is given: noise, at times from 1 to 1000."""
    return {
        "estimate": noise(count, *shape.as_tuple, seed=2),
        "x_t": noise(count, *shape.as_tuple, seed=3),
        "t": torch.linspace(1, 1000, count),
        "label": torch.arange(count) % 3,
    }


def begin(dit: Dit, given: dict[str, Tensor]) -> Cache:
    return dit.begin(x_t=given["x_t"], t=given["t"], label=given["label"])


def tensors(cache: Cache) -> list[Tensor]:
    """Copies of all tensors of the cache."""
    return [tensor.clone() for tensor in cache]


@pytest.mark.parametrize("shape", [GREY, WIDE], ids=str)
@pytest.mark.parametrize("count", [1, 3])
def test_output_has_the_shape_of_the_image(shape: ImageShape, count: int) -> None:
    """For square and other images, one and several channels, and odd batches."""
    given = inputs(shape=shape, count=count)
    out = network(shape=shape)(**given)
    assert out.shape == given["x_t"].shape
    assert out.is_contiguous()
    assert out.isfinite().all()


def test_output_is_zero_before_training() -> None:
    """The last layer begins at zero, so that f begins as x_t itself (eq. 3)."""
    assert network(moved=False)(**inputs()).count_nonzero() == 0


def test_a_block_begins_as_nothing() -> None:
    """Nothing is said to it (adaLN-Zero), so its gates are shut: what goes in comes out."""
    given = inputs()
    said = begin(network(moved=False), given).said
    assert said.count_nonzero() == 0
    h, token = noise(3, 4, 16, seed=0), noise(3, 4, 16, seed=1)
    assert torch.equal(Block(16, heads=2, sees_estimate=True)(h, said[:, :, : 6 * 16], token), h)


@every_variant
@torch.no_grad()
def test_begin_once_and_refine_often_equals_forward(variant: dict[str, Any]) -> None:
    """Algorithm 2 may begin once: refining changes nothing of what `begin` gave, bit for bit."""
    dit, given = network(**variant), inputs()
    cache = begin(dit, given)
    before = tensors(cache)
    for seed in range(3):
        guess = noise(*given["x_t"].shape, seed=seed)
        assert torch.equal(dit.refine(cache, estimate=guess), dit(**(given | {"estimate": guess})))
    for kept, now in zip(before, tensors(cache), strict=True):
        assert torch.equal(kept, now)


@every_variant
@torch.no_grad()
def test_images_leave_the_cache(variant: dict[str, Any]) -> None:
    """What is selected is what `begin` gives for those images alone."""
    dit, given = network(**variant), inputs(count=5)
    index = torch.tensor([3, 0])
    cache = dit.select(begin(dit, given), index=index)
    expected = begin(dit, {name: tensor[index] for name, tensor in given.items()})
    for one, other in zip(tensors(cache), tensors(expected), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_blocks_before_the_estimate_are_in_the_cache(first: int) -> None:
    """With `estimate_from` = k, k of three blocks run in `begin`, and the others in `refine`."""
    dit = network(estimate_from=first)
    calls: list[int] = []
    for number, block in enumerate(dit.blocks):
        block.register_forward_hook(lambda *_, number=number: calls.append(number))
    given = inputs()
    cache = begin(dit, given)
    assert calls == list(range(first))
    dit.refine(cache, estimate=given["estimate"])
    assert calls == [0, 1, 2]


@every_variant
@torch.no_grad()
def test_images_do_not_see_one_another(variant: dict[str, Any]) -> None:
    """Permuting the batch permutes the output, and an image alone gives what it gives in it."""
    dit, given = network(**variant), inputs(count=5)
    out = dit(**given)
    for index in ([3, 0, 4, 2, 1], [2]):
        some = dit(**{name: tensor[index] for name, tensor in given.items()})
        torch.testing.assert_close(some, out[index], atol=1e-5, rtol=1e-5)


@every_variant
def test_every_parameter_is_used(variant: dict[str, Any]) -> None:
    """A gradient larger than rounding reaches each of them, once no layer is zero."""
    dit, given = network(**variant), inputs()
    scalar = (dit(**given) * noise(*given["x_t"].shape, seed=4)).sum()
    names, parameters = zip(*dit.named_parameters(), strict=True)
    gradients = torch.autograd.grad(scalar, parameters, allow_unused=True)
    largest = {
        name: 0.0 if gradient is None else float(gradient.abs().max())
        for name, gradient in zip(names, gradients, strict=True)
    }
    rounding = 1e-6 * max(largest.values())
    assert [name for name, size in largest.items() if size < rounding] == []


@torch.no_grad()
def test_everything_given_matters() -> None:
    """F changes with x̂, x_t, t and the label."""
    dit, given = network(), inputs()
    out = dit(**given)
    for name, tensor in given.items():
        changed = dit(**(given | {name: tensor.flip(0)}))
        assert (changed - out).abs().max() > 1e-4, name


@torch.no_grad()
def test_where_something_stands_in_the_estimate_counts() -> None:
    """Exchanging two patches of x̂ changes F; without positions they would be one set."""
    dit, given = network(), inputs()
    out = dit(**given)
    rolled = given | {"estimate": given["estimate"].roll(2, dims=3)}
    assert (dit(**rolled) - out).abs().max() > 1e-3
    dit.position.zero_()
    torch.testing.assert_close(dit(**rolled), dit(**given), atol=1e-5, rtol=1e-5)


def test_positions_are_all_different() -> None:
    """Of 8×8 tokens no two share a place, and rows are told from columns."""
    place_ND = positions(rows=8, columns=8, width=16)
    assert place_ND.shape == (64, 16)
    distances = torch.cdist(place_ND, place_ND) + 9 * torch.eye(64)
    assert distances.min() > 0.1
    assert not torch.allclose(place_ND[1], place_ND[8])


def test_waves_are_those_of_the_paper() -> None:
    """Cos and sin of t/10000^(2i/D): at width 4, of t and t/100."""
    expected = torch.tensor([[3.0, 0.03]])
    expected = torch.cat([expected.cos(), expected.sin()], dim=1)
    torch.testing.assert_close(waves(torch.tensor([3.0]), width=4), expected)


def test_weights_follow_from_the_seed() -> None:
    """All first weights come from torch's generator: one seed makes one network, two make two."""
    states = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            states.append(Dit(DitOptions(classes=True), shape=GREY, classes=3).state_dict())
    same, again, other = states
    assert all(torch.equal(same[name], again[name]) for name in same)
    assert not torch.equal(same["enter.weight"], other["enter.weight"])
    assert "position" not in same


def test_a_network_with_classes_needs_labels() -> None:
    """Without labels it says what is missing; it does not guess a class."""
    assert network().uses_labels
    with pytest.raises(ValueError, match="no labels were given"):
        network()(**(inputs() | {"label": None}))


def test_a_network_without_classes_ignores_labels() -> None:
    """Data may have classes that the network does not use."""
    dit, given = network(classes=False), inputs()
    assert not dit.uses_labels
    assert torch.equal(dit(**given), dit(**(given | {"label": None})))


def test_images_that_do_not_fit_are_refused() -> None:
    """Where nobody has checked the recipe, the network itself says what is wrong."""
    with pytest.raises(RecipeError, match=r"9×8 pixels cannot be cut into patches of 2×2"):
        network(shape=ImageShape(channels=1, height=9, width=8))
