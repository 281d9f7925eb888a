"""LPIPS against lpips itself, Pseudo-LPIPS against its formulas, and what a loss needs of both.

The trunks are random: what is tested here holds for any weights, and the trained ones are large.
"""

import math
import warnings
from decimal import Decimal, localcontext
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from trunks import save_trunk

from dddm.support.torchvision_operators import import_torchvision
from dddm_metrics.options import SMALLEST_PIXELS, LpipsOptions, PseudoLpipsOptions
from dddm_metrics.perceptual import FLOOR, Lpips, PseudoLpips, pseudo_lpips

NETS = ["vgg", "alex", "squeeze"]
every_net = pytest.mark.parametrize("net", NETS)
Form = Literal["pseudo", "sqrt", "plain"]
every_form = pytest.mark.parametrize("form", ["pseudo", "sqrt", "plain"])
values = st.floats(0, 10, width=32)


@pytest.fixture(scope="module")
def trunks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The options that name a random trunk, for each network."""
    folder = tmp_path_factory.mktemp("trunks")
    return {net: save_trunk(folder, net) for net in NETS}


def images(seed: int, *, size: int = 32, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator) * 2 - 1


def naive(net: str, options: dict[str, Any]) -> Any:
    """`lpips.LPIPS` as its own users make it, with the same trunk."""
    import_torchvision()
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model: Any = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    state = torch.load(options["trunk_file"], weights_only=True)
    for name, value in model.net.named_parameters():
        value.data.copy_(state["features." + name.partition(".")[2]])
    return model.eval()


@every_net
def test_is_lpips_itself(trunks: dict[str, dict[str, Any]], net: str) -> None:
    """With max-pooling and no resizing, value and gradient are those of lpips, to 1e-6."""
    metric = Lpips(LpipsOptions(**trunks[net], pooling="max", size=0))
    a, b = images(1).requires_grad_(), images(2)
    ours = metric.distance(estimate=a, target=b)
    theirs = naive(net, trunks[net])(a, b)
    assert ours.shape == (2,)
    torch.testing.assert_close(ours, theirs.flatten(), rtol=1e-6, atol=1e-6)
    (our_slope,) = torch.autograd.grad(ours.sum(), a)
    (their_slope,) = torch.autograd.grad(theirs.sum(), a)
    torch.testing.assert_close(our_slope, their_slope, rtol=1e-4, atol=1e-6)


def test_defaults_are_the_papers_setting(trunks: dict[str, dict[str, Any]]) -> None:
    """By default: VGG, its max-poolings made averages, images at 224 by bilinear resizing."""
    theirs = naive("vgg", trunks["vgg"])
    for part in theirs.net.children():
        for name, layer in part.named_children():
            if isinstance(layer, nn.MaxPool2d):
                setattr(part, name, nn.AvgPool2d(2, 2))
    a, b = images(3, count=1), images(4, count=1)
    options = {key: value for key, value in trunks["vgg"].items() if key != "net"}
    with torch.no_grad():
        ours = Lpips(LpipsOptions(**options)).distance(estimate=a, target=b)
        large = [nn.functional.interpolate(x, size=(224, 224), mode="bilinear") for x in (a, b)]
        torch.testing.assert_close(ours, theirs(*large).flatten(), rtol=1e-6, atol=1e-7)


@every_net
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_smallest_size_is_the_smallest(
    trunks: dict[str, dict[str, Any]], net: str, pooling: Any
) -> None:
    """Images of the size that the check asks for have a distance; one pixel less, and none."""
    metric = Lpips(LpipsOptions(**trunks[net], pooling=pooling, size=0))
    size = SMALLEST_PIXELS[net]
    a, b = images(1, size=size), images(2, size=size)
    assert (metric.distance(estimate=a, target=b) > 0).all()
    with pytest.raises(RuntimeError):
        metric.distance(estimate=a[..., 1:, 1:], target=b[..., 1:, 1:])


@pytest.fixture(scope="module")
def small(trunks: dict[str, dict[str, Any]]) -> Lpips:
    """The fastest: squeeze, without resizing."""
    return Lpips(LpipsOptions(**trunks["squeeze"], size=0))


def test_is_a_distance(small: Lpips) -> None:
    """At least 0, 0 from an image to itself, the same there and back, each sample by itself."""
    a, b = images(1), images(2)
    there = small.distance(estimate=a, target=b)
    assert (there > 0).all()
    assert there.dtype == torch.float32
    assert torch.equal(small.distance(estimate=a, target=a), torch.zeros(2))
    torch.testing.assert_close(small.distance(estimate=b, target=a), there)
    alone = small.distance(estimate=a[1:], target=b[1:])
    torch.testing.assert_close(alone, there[1:], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("image", [images(1), torch.zeros(2, 3, 32, 32)], ids=["any", "flat"])
def test_gradient_at_equality_is_zero(small: Lpips, image: Tensor) -> None:
    """A perfect estimate moves nothing and breaks nothing."""
    estimate = image.clone().requires_grad_()
    loss = small.distance(estimate=estimate, target=image).mean()
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert torch.equal(gradient, torch.zeros_like(image))


def test_gradient_is_finite_where_features_are_dead(trunks: dict[str, dict[str, Any]]) -> None:
    """A place whose features are all 0 gives lpips's own formula not-a-number, and ours none."""
    metric = Lpips(LpipsOptions(**trunks["squeeze"], size=0))
    first = metric.network._trunk.slice1[0]
    first.weight.zero_()
    first.bias.fill_(-1.0)
    estimate = images(1).requires_grad_()
    distance = metric.distance(estimate=estimate, target=images(2))
    (gradient,) = torch.autograd.grad(distance.sum(), estimate)
    assert gradient.isfinite().all()


def test_nothing_of_it_learns(small: Lpips) -> None:
    """No parameter takes a gradient, the target neither, and `.train()` leaves dropout off."""
    estimate, target = images(1).requires_grad_(), images(2).requires_grad_()
    before = small.distance(estimate=estimate, target=target)
    (of_target,) = torch.autograd.grad(before.sum(), target, allow_unused=True)
    assert of_target is None
    assert all(not p.requires_grad for p in small.network.parameters())
    nn.Sequential(small.network).train()
    assert not any(module.training for module in small.network.modules())
    assert torch.equal(small.distance(estimate=estimate, target=target), before)


def test_lies_outside_the_model(small: Lpips) -> None:
    """Even a module that holds a metric has none of its weights, to train or to save."""
    holder = nn.Linear(1, 1)
    setattr(holder, "metric", small)  # noqa: B010 - torch types attributes as modules
    assert len(list(holder.parameters())) == 2
    assert list(holder.state_dict()) == ["weight", "bias"]


def test_features_of_the_estimate_are_computed_once(small: Lpips) -> None:
    """Several targets: the trunk runs once for each and once for the estimate; same distances."""
    estimate, targets = images(1), [images(2), images(3)]
    one_by_one = [small.distance(estimate=estimate, target=target) for target in targets]
    passes: list[bool] = []
    hook = small.network._trunk.register_forward_hook(
        lambda *_: passes.append(torch.is_grad_enabled())
    )
    together = small.distances(estimate=estimate.requires_grad_(), targets=targets)
    hook.remove()
    assert passes == [True, False, False]
    for shared, alone in zip(together, one_by_one, strict=True):
        assert torch.equal(shared, alone)


def test_autocast_changes_nothing(small: Lpips) -> None:
    """In a training step under autocast, what is float32 by option stays so, bit for bit."""
    a, b = images(1), images(2)
    expected = small.distance(estimate=a, target=b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(small.distance(estimate=a, target=b), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_measured_in_float32(small: Lpips, dtype: torch.dtype) -> None:
    """What comes in at another precision is compared as the same numbers in float32."""
    a, b = images(1).to(dtype), images(2).to(dtype)
    distance = small.distance(estimate=a, target=b)
    assert torch.equal(distance, small.distance(estimate=a.float(), target=b.float()))


def test_bfloat16_is_near_and_not_the_same(trunks: dict[str, dict[str, Any]]) -> None:
    """The option reaches the trunk; the distance agrees to a few per cent, and is float32."""
    fast = Lpips(LpipsOptions(**trunks["squeeze"], size=0, precision="bfloat16"))
    exact = Lpips(LpipsOptions(**trunks["squeeze"], size=0))
    a, b = images(1), images(2)
    near, expected = (m.distance(estimate=a, target=b) for m in (fast, exact))
    assert near.dtype == torch.float32
    assert not torch.equal(near, expected)
    torch.testing.assert_close(near, expected, rtol=0.05, atol=0)
    same = fast.distance(estimate=a, target=a)
    assert torch.equal(same, torch.zeros(2))


def test_grey_images_are_seen_as_grey(small: Lpips) -> None:
    """One channel has the distances of the three equal ones."""
    a, b = images(1)[:, :1], images(2)[:, :1]
    colour = small.distance(estimate=a.expand(-1, 3, -1, -1), target=b.expand(-1, 3, -1, -1))
    torch.testing.assert_close(small.distance(estimate=a, target=b), colour)


def test_making_it_draws_no_random_number(trunks: dict[str, dict[str, Any]]) -> None:
    """The global generator is where it was, though lpips makes a random network first."""
    before = torch.get_rng_state()
    Lpips(LpipsOptions(**trunks["alex"], size=0))
    assert torch.equal(torch.get_rng_state(), before)


def at(value: float, *, form: Form, c: float = 6.9e-5) -> float:
    return pseudo_lpips(torch.tensor(value), form=form, c=c).item()


@settings(deadline=None)
@given(values, st.floats(1e-9, 1))
def test_pseudo_keeps_its_digits(value: float, c: float) -> None:
    """In float32, √(L + c²) − c agrees with 60-digit arithmetic to 1e-6, however small L is."""
    with localcontext() as context:
        context.prec = 60
        exact = float((Decimal(value) + Decimal(c) ** 2).sqrt() - Decimal(c))
    assert at(value, form="pseudo", c=c) == pytest.approx(exact, rel=1e-6, abs=1e-37)


def test_pseudo_as_it_is_printed_would_lose_them() -> None:
    """At L = 1e-16 the difference of two roots has no right digit left in float32; ours has."""
    value, c = torch.tensor(1e-16), 6.9e-5
    exact = 1e-16 / (math.sqrt(1e-16 + c * c) + c)
    printed = (value + c * c).sqrt() - c
    assert abs(printed.item() - exact) > 0.5 * exact
    assert at(1e-16, form="pseudo") == pytest.approx(exact, rel=1e-6)


@settings(deadline=None)
@given(values)
def test_the_forms_are_their_formulas(value: float) -> None:
    """Plain is L; sqrt is √L from the floor on, and never more than √L below it."""
    assert at(value, form="plain") == value
    if value >= FLOOR:
        assert at(value, form="sqrt") == pytest.approx(math.sqrt(value), rel=1e-6)
    else:
        assert at(value, form="sqrt") == pytest.approx(value / math.sqrt(FLOOR), rel=1e-6)
    assert at(value, form="pseudo") <= math.sqrt(value) * (1 + 1e-6)


@every_form
@settings(deadline=None)
@given(st.lists(values, min_size=2, max_size=9))
def test_a_larger_distance_stays_larger(form: Form, several: list[float]) -> None:
    """Every form rises with L, from 0 at 0: so d ≥ 0 and d(x, x) = 0."""
    shapes = pseudo_lpips(torch.tensor([0.0, *sorted(several)]), form=form, c=6.9e-5)
    assert shapes[0] == 0
    assert (shapes.diff() >= 0).all()


@every_form
@settings(deadline=None)
@given(values)
def test_the_slope_is_finite_and_at_least_zero(form: Form, value: float) -> None:
    """Also at L = 0, where that of the root is infinite."""
    lpips = torch.tensor(value, requires_grad=True)
    (slope,) = torch.autograd.grad(pseudo_lpips(lpips, form=form, c=1e-9), lpips)
    assert 0 <= slope.item() < math.inf


@every_form
def test_pseudo_lpips_is_the_form_of_lpips(
    trunks: dict[str, dict[str, Any]], small: Lpips, form: Form
) -> None:
    """One number a sample, for several targets too; at equality the gradient is 0, not NaN."""
    options = PseudoLpipsOptions(**trunks["squeeze"], size=0, form=form, c=0.01)
    metric = PseudoLpips(options)
    a, b = images(1).requires_grad_(), images(2)
    expected = pseudo_lpips(small.distance(estimate=a, target=b), form=form, c=0.01)
    to_b, to_a = metric.distances(estimate=a, targets=(b, a.detach()))
    assert torch.equal(to_b, expected)
    assert torch.equal(metric.distance(estimate=a, target=b), expected)
    assert torch.equal(to_a, torch.zeros(2))
    (gradient,) = torch.autograd.grad(to_a.mean(), a)
    assert torch.equal(gradient, torch.zeros_like(a))
    assert metric.trained_on == "ImageNet"
