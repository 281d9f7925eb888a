"""Options that change where numbers lie and how long they are kept, and not the numbers.

Legend: B images, C channels, H rows, W columns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from perturbing import noise, perturb
from torch import Tensor

from dddm.interfaces.info import ImageShape
from dddm_backbones.adm import Adm
from dddm_backbones.options import AdmOptions

WAYS = ["attention", "cross-attention", "transformer", "concatenation"]
SHAPE = ImageShape(channels=3, height=8, width=8)


def network(**changes: Any) -> Adm:
    """A small network away from where it begins, in training mode; the same weights each time."""
    small: dict[str, Any] = {
        "channels": 8,
        "multipliers": (1, 2),
        "blocks": 1,
        "attention": (4,),
        "head_width": 4,
        "dropout": 0.3,
    }
    torch.manual_seed(0)
    adm = Adm(AdmOptions(**(small | changes)), shape=SHAPE, classes=0)
    perturb(adm, size=0.2)
    return adm.train()


def output(adm: Adm, *, count: int = 2) -> Tensor:
    """F of a batch of noise."""
    raw: Tensor = adm(
        estimate=noise(count, *SHAPE.as_tuple, seed=2),
        x_t=noise(count, *SHAPE.as_tuple, seed=3),
        t=torch.linspace(1, 1000, count),
    )
    return raw


def output_and_gradients(adm: Adm) -> tuple[Tensor, list[Tensor]]:
    """F with one dropout, and the gradients of a sum over it."""
    torch.manual_seed(1)
    raw = output(adm)
    gradients = torch.autograd.grad((raw * noise(*raw.shape, seed=4)).sum(), [*adm.parameters()])
    return raw, list(gradients)


@contextmanager
def counting_saved_values() -> Iterator[list[int]]:
    """How many values the graph keeps for the backward pass, tensor by tensor."""
    saved: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield saved


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("updown", [True, False])
def test_checkpointing_changes_no_gradient(estimate: str, *, updown: bool) -> None:
    """Output and gradients are equal bit for bit, with the same dropout in both passes."""
    given = {"estimate": estimate, "updown_blocks": updown}
    plain, gradients = output_and_gradients(network(**given))
    recomputed, again = output_and_gradients(network(**given, checkpointing=True))
    assert torch.equal(plain, recomputed)
    for gradient, other in zip(gradients, again, strict=True):
        assert torch.equal(gradient, other)


@pytest.mark.parametrize("estimate", WAYS)
def test_checkpointing_keeps_less(estimate: str) -> None:
    """What waits for the backward pass is less than half of what it is without."""
    with counting_saved_values() as plain:
        output(network(estimate=estimate), count=8)
    with counting_saved_values() as less:
        output(network(estimate=estimate, checkpointing=True), count=8)
    assert sum(less) < 0.5 * sum(plain)


@torch.no_grad()
def test_checkpointing_does_nothing_where_there_is_no_gradient() -> None:
    """Sampling with such a network is sampling without it."""
    assert torch.equal(output(network().eval()), output(network(checkpointing=True).eval()))


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("updown", [True, False])
def test_channels_last_changes_outputs_and_gradients_by_rounding_alone(
    estimate: str, *, updown: bool
) -> None:
    """F and every gradient are those of the other layout, to 1e-5 of the largest value."""
    given = {"estimate": estimate, "updown_blocks": updown, "dropout": 0.0}
    plain, gradients = output_and_gradients(network(**given))
    other, again = output_and_gradients(network(**given, channels_last=True))
    torch.testing.assert_close(other, plain, atol=1e-5, rtol=1e-5)
    largest = max(float(gradient.abs().max()) for gradient in gradients)
    for gradient, moved in zip(gradients, again, strict=True):
        torch.testing.assert_close(moved, gradient, atol=1e-5 * largest, rtol=1e-5)


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("updown", [True, False])
def test_channels_last_reaches_every_feature_map(estimate: str, *, updown: bool) -> None:
    """No step turns the layout back; F itself comes out as any image does."""
    adm = network(estimate=estimate, updown_blocks=updown, channels_last=True)
    maps: list[Tensor] = []
    for step in (*adm.down, *adm.middle, *adm.up):
        step.register_forward_hook(lambda _, __, out: maps.append(out))
    assert output(adm).is_contiguous()
    assert len(maps) == len(adm.down) + 2 + len(adm.up)
    for each in maps:
        assert each.is_contiguous(memory_format=torch.channels_last)
        assert not each.is_contiguous()
    for weight in (parameter for parameter in adm.parameters() if parameter.dim() == 4):
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_go_from_one_layout_to_the_other() -> None:
    """Checkpoints do not depend on the option, and loading one does not undo it."""
    plain, last = network().eval(), network(channels_last=True).eval()
    perturb(plain, size=0.3)
    last.load_state_dict(plain.state_dict())
    torch.testing.assert_close(output(last), output(plain), atol=1e-5, rtol=1e-5)
    assert any(not parameter.is_contiguous() for parameter in last.parameters())
