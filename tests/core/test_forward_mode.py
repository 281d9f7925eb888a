"""Forward-mode derivatives of networks, against finite differences."""

from typing import Any

import pytest
import torch
from perturbing import noise, perturb
from torch import Tensor

from dddm.core.forward_mode import jvp
from dddm.errors import UsageError
from dddm.interfaces.info import ImageShape
from dddm_backbones.adm import Adm
from dddm_backbones.options import AdmOptions

SHAPE = ImageShape(channels=1, height=8, width=8)
FORMS: list[dict[str, Any]] = [
    {"estimate": "attention"},
    {"estimate": "cross-attention", "updown_blocks": True},
    {"estimate": "transformer", "scale_shift_norm": False},
    {"estimate": "concatenation"},
    {"estimate": "none", "second_time": True},
]


def network(**options: Any) -> Adm:
    """A small one, away from where it begins."""
    given: dict[str, Any] = {
        "channels": 4, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "head_width": 4,
    }  # fmt: skip
    torch.manual_seed(0)
    adm = Adm(AdmOptions(**given | options), shape=SHAPE, classes=0)
    perturb(adm)
    return adm


@pytest.mark.parametrize("options", FORMS, ids=lambda options: options["estimate"])
def test_the_derivative_is_that_of_finite_differences(options: dict[str, Any]) -> None:
    """Along x_t, both times and x̂ at once, for each way in which x̂ enters."""
    adm = network(**options)
    x_t, estimate, *direction = (noise(2, *SHAPE.as_tuple, seed=seed) for seed in range(4))
    t, second_time = torch.tensor([300.0, 10.0]), torch.tensor([20.0, 1.0])

    def f(x_t: Tensor, t: Tensor, second_time: Tensor, estimate: Tensor) -> Tensor:
        given = {"x_t": x_t, "t": t, "second_time": second_time, "estimate": estimate}
        out: Tensor = adm(**given)
        return out

    primals = (x_t, t, second_time, estimate)
    tangents = (direction[0], torch.ones(2), torch.full((2,), -0.5), direction[1])
    value, derivative = jvp(f, primals, tangents)
    torch.testing.assert_close(value, f(*primals))
    step = 1e-2
    ahead, behind = (
        f(*(p + sign * step * v for p, v in zip(primals, tangents, strict=True)))
        for sign in (1, -1)
    )
    differences = (ahead - behind) / (2 * step)
    assert float(derivative.detach().abs().max()) > 0.1
    torch.testing.assert_close(derivative, differences, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("options", FORMS, ids=lambda options: options["estimate"])
def test_the_value_carries_the_gradient(options: dict[str, Any]) -> None:
    """The gradient of a loss of the value is that of an ordinary pass, and the derivative's own
    gradient is there for who wants it.
    """
    adm = network(**options)
    x_t, estimate = noise(2, *SHAPE.as_tuple), noise(2, *SHAPE.as_tuple, seed=1)
    t = torch.tensor([300.0, 10.0])
    parameters = [p for _, p in sorted(adm.named_parameters())]

    def f(x_t: Tensor, t: Tensor) -> Tensor:
        out: Tensor = adm(x_t=x_t, t=t, estimate=estimate)
        return out

    value, derivative = jvp(f, (x_t, t), (torch.ones_like(x_t), torch.ones_like(t)))
    target = (value + derivative).detach()
    found = torch.autograd.grad((value - target).square().mean(), parameters, retain_graph=True)
    expected = torch.autograd.grad((f(x_t, t) - target).square().mean(), parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    assert derivative.requires_grad


def test_dropout_is_that_of_an_ordinary_pass() -> None:
    """From one random state, the value of a network in training mode is the same."""
    adm = network(dropout=0.3).train()
    x_t = noise(2, *SHAPE.as_tuple)
    t = torch.tensor([300.0, 10.0])

    def f(x_t: Tensor) -> Tensor:
        out: Tensor = adm(x_t=x_t, t=t, estimate=x_t)
        return out

    torch.manual_seed(3)
    value, _ = jvp(f, (x_t,), (torch.ones_like(x_t),))
    torch.manual_seed(3)
    torch.testing.assert_close(value, f(x_t))


@pytest.mark.parametrize(
    ("option", "says"), [("checkpointing", "computed again"), ("channels_last", "channels last")]
)
def test_what_adm_cannot_is_refused(option: str, says: str) -> None:
    """With a sentence, where torch would fail in the backward pass or speak of views."""
    adm = network(**{option: True}).train()
    x_t = noise(2, *SHAPE.as_tuple)
    with pytest.raises(UsageError, match=says) as caught:
        jvp(
            lambda x_t: adm(x_t=x_t, t=torch.ones(2), estimate=x_t),
            (x_t,),
            (torch.ones_like(x_t),),
        )
    assert caught.value.remedy == f"write {option} = false"


def test_what_torch_cannot_derive_is_refused() -> None:
    """An operation without a forward-mode derivative is named."""

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

    with pytest.raises(UsageError, match="no forward-mode derivative"):
        jvp(Backward.apply, (torch.ones(2),), (torch.ones(2),))


def test_other_errors_pass() -> None:
    """A mistake in the function is told as what it is."""
    with pytest.raises(RuntimeError, match="size of tensor"):
        jvp(lambda x: x + torch.ones(3), (torch.ones(2),), (torch.ones(2),))
