"""ADM without an estimate, and with a second time."""

from typing import Any

import pytest
import torch
from perturbing import noise, perturb

from dddm.core.flops import count_flops
from dddm.interfaces.info import BackboneInfo, ImageShape
from dddm_backbones.adm import Adm
from dddm_backbones.options import AdmOptions, describe_adm

SHAPE = ImageShape(channels=1, height=8, width=8)
TIMES = torch.tensor([1.0, 400.0, 1000.0])


def options(**more: Any) -> AdmOptions:
    """A small network's."""
    given: dict[str, Any] = {
        "channels": 4, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "head_width": 4,
    }  # fmt: skip
    return AdmOptions(**given | more)


def network(**more: Any) -> Adm:
    """A small one, as it begins."""
    torch.manual_seed(0)
    return Adm(options(**more), shape=SHAPE, classes=3)


def test_a_second_time_changes_no_other_weight() -> None:
    """Weights and random state are those of the network without it, but for its own layers."""
    plain = network().state_dict()
    second = network(second_time=True).state_dict()
    assert {name for name in second if name not in plain} == {
        f"second_time.{layer}.{part}" for layer in ("enter", "leave") for part in ("weight", "bias")
    }
    for name, weight in plain.items():
        assert torch.equal(weight, second[name])


def test_it_begins_as_the_network_without_it() -> None:
    """Its layer starts at zero: until it learns, F is bit for bit that of one time."""
    plain, second = network(), network(second_time=True)
    # Not of the second time's own layers, which come last.
    with torch.no_grad():
        for one, other in zip(plain.parameters(), second.parameters(), strict=False):
            other.copy_(one.add_(0.1 * torch.randn_like(one)))
    x_t, estimate = noise(3, *SHAPE.as_tuple), noise(3, *SHAPE.as_tuple, seed=1)
    expected = plain(x_t=x_t, t=TIMES, estimate=estimate)
    for r in (None, TIMES / 2):
        found = second(x_t=x_t, t=TIMES, estimate=estimate, second_time=r)
        assert torch.equal(found, expected)


def test_the_second_time_counts() -> None:
    """Away from where it begins, another second time is another F; t stands in for none."""
    second = network(second_time=True)
    perturb(second)
    x_t, estimate = noise(3, *SHAPE.as_tuple), noise(3, *SHAPE.as_tuple, seed=1)
    none, same, other = (
        second(x_t=x_t, t=TIMES, estimate=estimate, second_time=r) for r in (None, TIMES, TIMES / 2)
    )
    assert torch.equal(none, same)
    assert float((other - none).detach().abs().min(dim=0).values.max()) > 1e-4


def test_a_second_time_is_given_where_it_is_taken() -> None:
    """A missing one, and one too many, are refused."""
    x_t = noise(3, *SHAPE.as_tuple)
    with pytest.raises(ValueError, match="none was given"):
        network(second_time=True).begin(x_t=x_t, t=TIMES, label=None)
    with pytest.raises(ValueError, match="takes no second time"):
        network().begin(x_t=x_t, t=TIMES, label=None, second_time=TIMES)


@pytest.mark.parametrize("attention", [(), (4,), (4, 8)])
def test_without_an_estimate(attention: tuple[int, ...]) -> None:
    """It is ADM's own network: `begin` computes all but its last layer, and x̂ is not looked at."""
    adm = network(estimate="none", attention=attention)
    perturb(adm)
    x_t = noise(3, *SHAPE.as_tuple)
    first = adm(x_t=x_t, t=TIMES)
    assert torch.equal(adm(x_t=x_t, t=TIMES, estimate=noise(3, *SHAPE.as_tuple, seed=1)), first)
    cache = adm.begin(x_t=x_t, t=TIMES, label=None)
    assert torch.equal(adm.refine(cache, estimate=None), first)
    index = torch.tensor([2, 0])
    chosen = adm.refine(adm.select(cache, index=index), estimate=None)
    torch.testing.assert_close(chosen, first[index])


def test_without_an_estimate_it_is_concatenation_of_zeros() -> None:
    """With the same weights, x̂ = 0 beside x_t gives the same F."""
    plain, joined = network(estimate="none"), network(estimate="concatenation")
    perturb(joined)
    state = joined.state_dict()
    del state["first_estimate.weight"]
    plain.load_state_dict(state)
    x_t = noise(3, *SHAPE.as_tuple)
    expected = joined(x_t=x_t, t=TIMES, estimate=torch.zeros_like(x_t))
    torch.testing.assert_close(plain(x_t=x_t, t=TIMES), expected)


@pytest.mark.parametrize(
    "more", [{"estimate": "none"}, {"second_time": True}, {"estimate": "none", "second_time": True}]
)
def test_operations_are_counted(more: dict[str, Any]) -> None:
    """Without an estimate nearly all stands in `begin`; a second time adds its two layers."""
    with torch.device("meta"):
        counted = count_flops(network(**more), shape=SHAPE)
        plain = count_flops(network(**more | {"second_time": False}), shape=SHAPE)
    added = 2 * (4 * 16 + 16 * 16) if "second_time" in more else 0
    assert counted.begin - plain.begin == added
    assert counted.refine == plain.refine
    if "estimate" in more:
        assert counted.refine == 2 * 9 * 4 * 64


def test_facts_are_those_of_the_network() -> None:
    """What the options say of it before it is built is what it says of itself."""
    for more in ({}, {"estimate": "none"}, {"second_time": True}, {"classes": True}):
        facts, adm = describe_adm(options(**more)), network(**more)
        assert facts.estimate == adm.takes_estimate
        assert facts.second_time == adm.takes_second_time
        assert facts.classes == adm.uses_labels
        assert facts.forward_mode
    for more in ({"checkpointing": True}, {"channels_last": True}):
        assert not describe_adm(options(**more)).forward_mode
    assert describe_adm(options()) == BackboneInfo(classes=False)
    assert describe_adm(options(classes=True)) == BackboneInfo()
