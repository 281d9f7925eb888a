"""ADM's U-Net as F_θ(x̂, x_t, t): what holds whatever its weights are.

Legend: B images, C channels, H rows, W columns.
"""

from typing import Any, Literal, get_args

import pytest
import torch
from attrs import frozen
from perturbing import noise, perturb
from torch import Tensor
from torch.nn import functional

from dddm.interfaces.info import ImageShape
from dddm_backbones.adm import Adm, Cache
from dddm_backbones.options import AdmOptions

Way = Literal["attention", "cross-attention", "transformer", "concatenation"]
WAYS: tuple[Way, ...] = get_args(Way)
GREY = ImageShape(channels=1, height=8, width=8)


def network(*, shape: ImageShape = GREY, **changes: Any) -> Adm:
    """A small network for three classes, with perturbed weights, in evaluation mode."""
    small: dict[str, Any] = {
        "channels": 4,
        "multipliers": (1, 2),
        "blocks": 1,
        "attention": (4,),
        "head_width": 4,
    }
    adm = Adm(AdmOptions(**(small | changes)), shape=shape, classes=3)
    perturb(adm, size=0.2)
    return adm.eval()


@frozen(kw_only=True)
class Inputs:
    """What a network is given."""

    estimate: Tensor
    x_t: Tensor
    t: Tensor
    label: Tensor

    def rows(self, index: Tensor) -> "Inputs":
        """Some of the images, in another order."""
        return Inputs(
            estimate=self.estimate[index],
            x_t=self.x_t[index],
            t=self.t[index],
            label=self.label[index],
        )

    def through(self, adm: Adm) -> Tensor:
        """F, (B, C, H, W)."""
        out: Tensor = adm(estimate=self.estimate, x_t=self.x_t, t=self.t, label=self.label)
        return out


def inputs(*, shape: ImageShape = GREY, count: int = 3) -> Inputs:
    """A batch of noise, at times from 1 to 1000."""
    return Inputs(
        estimate=noise(count, *shape.as_tuple, seed=2),
        x_t=noise(count, *shape.as_tuple, seed=3),
        t=torch.linspace(1, 1000, count),
        label=torch.arange(count) % 3,
    )


SIZES = {
    "8×8 grey": (GREY, {}),
    "32×32": (
        ImageShape(channels=3, height=32, width=32),
        {"multipliers": (1, 2, 2), "attention": (16, 8)},
    ),
    "16×32": (ImageShape(channels=2, height=16, width=32), {"attention": (8,), "blocks": 2}),
    "one stage": (GREY, {"multipliers": (1,), "attention": (8,)}),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "updown blocks": {"updown_blocks": True},
    "no scale and shift": {"scale_shift_norm": False},
    "heads": {"heads": 2},
    "attention in two stages": {"attention": (8, 4)},
    "attention above the lowest stage only": {"attention": (8,)},
    "classes": {"classes": True},
}


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_output_has_the_shape_of_the_image(
    estimate: Way, size: tuple[ImageShape, dict[str, Any]]
) -> None:
    """For square and other images, one and several channels."""
    shape, changes = size
    batch = inputs(shape=shape)
    out = batch.through(network(shape=shape, estimate=estimate, **changes))
    assert out.shape == batch.x_t.shape
    assert out.isfinite().all()


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_begin_once_and_refine_often_equals_forward(estimate: Way, variant: dict[str, Any]) -> None:
    """Refining changes nothing in the cache, and equals the whole forward pass, bit for bit."""
    adm, batch = network(estimate=estimate, **variant), inputs()
    cache = adm.begin(x_t=batch.x_t, t=batch.t, label=batch.label)
    before = _tensors(cache)
    for seed in range(3):
        guess = noise(*batch.x_t.shape, seed=seed)
        again = adm(estimate=guess, x_t=batch.x_t, t=batch.t, label=batch.label)
        assert torch.equal(adm.refine(cache, estimate=guess), again)
    for kept, now in zip(before, _tensors(cache), strict=True):
        assert torch.equal(kept, now)


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_images_leave_the_cache(estimate: Way, variant: dict[str, Any]) -> None:
    """What is selected is what `begin` gives for those images alone."""
    adm, batch = network(estimate=estimate, **variant), inputs(count=5)
    index = torch.tensor([3, 0])
    cache = adm.select(adm.begin(x_t=batch.x_t, t=batch.t, label=batch.label), index=index)
    some = batch.rows(index)
    expected = adm.begin(x_t=some.x_t, t=some.t, label=some.label)
    assert cache.steps_done == expected.steps_done
    for one, other in zip(_tensors(cache), _tensors(expected), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def _tensors(cache: Cache) -> list[Tensor]:
    """Copies of all tensors of the cache."""
    cached = (tensor for skip in cache.cached_skips for tensor in skip)
    return [tensor.clone() for tensor in (cache.h, *cache.skips, *cached, cache.embedding)]


@pytest.mark.parametrize(
    ("attention", "done"), [((4,), 2), ((8,), 0), ((8, 4), 0)], ids=["lower", "upper", "both"]
)
def test_begin_does_all_steps_before_the_estimate_enters(
    attention: tuple[int, ...], done: int
) -> None:
    """A block and a downsampling precede attention at half resolution, nothing the first."""
    batch = inputs()
    cache = network(attention=attention).begin(x_t=batch.x_t, t=batch.t, label=None)
    assert cache.steps_done == done
    assert len(cache.skips) == done + 1
    assert not cache.cached_skips


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_sampling_computes_what_training_does(estimate: Way, variant: dict[str, Any]) -> None:
    """Without gradients the decoder's share of skip connections is cached: same numbers."""
    adm, batch = network(estimate=estimate, **variant), inputs()
    expected = batch.through(adm).detach()
    with torch.no_grad():
        cache = adm.begin(x_t=batch.x_t, t=batch.t, label=batch.label)
        found = adm.refine(cache, estimate=batch.estimate)
    assert len(cache.cached_skips) == (0 if estimate == "concatenation" else cache.steps_done + 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_images_do_not_see_one_another(estimate: Way, variant: dict[str, Any]) -> None:
    """Permuting the batch permutes the output, and an image alone gives what it gives in it."""
    adm, batch = network(estimate=estimate, **variant), inputs(count=5)
    out = batch.through(adm)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(batch.rows(order).through(adm), out[order], atol=1e-5, rtol=1e-5)
    alone = batch.rows(torch.tensor([2])).through(adm)
    torch.testing.assert_close(alone, out[2:3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_every_parameter_is_used(estimate: Way, variant: dict[str, Any]) -> None:
    """A gradient larger than rounding reaches each of them, once no layer is zero."""
    adm, batch = network(estimate=estimate, **variant), inputs()
    scalar = (batch.through(adm) * noise(*batch.x_t.shape, seed=4)).sum()
    names, parameters = zip(*adm.named_parameters(), strict=True)
    gradients = torch.autograd.grad(scalar, parameters, allow_unused=True)
    size = {
        name: 0.0 if gradient is None else float(gradient.abs().max())
        for name, gradient in zip(names, gradients, strict=True)
    }
    rounding = 1e-6 * max(size.values())
    assert [name for name, largest in size.items() if largest < rounding] == []


@pytest.mark.parametrize("estimate", WAYS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_everything_given_matters(estimate: Way, variant: dict[str, Any]) -> None:
    """F changes with x̂, x_t, t and the label."""
    adm, batch = network(estimate=estimate, **(variant | {"classes": True})), inputs()
    given = {"estimate": batch.estimate, "x_t": batch.x_t, "t": batch.t, "label": batch.label}
    out = adm(**given)
    for name, tensor in given.items():
        changed = adm(**(given | {name: tensor.flip(0)}))
        assert (changed - out).abs().max() > 1e-4, name


@pytest.mark.parametrize("estimate", WAYS)
def test_output_is_zero_before_training(estimate: Way) -> None:
    """The last convolution is zero at first, so that f is x_t itself (eq. 3)."""
    options = AdmOptions(
        channels=4, multipliers=(1, 2), blocks=1, attention=(4,), estimate=estimate
    )
    out = inputs().through(Adm(options, shape=GREY, classes=0))
    assert out.count_nonzero() == 0


def shuffled_patches(x_BCHW: Tensor, *, patch: int) -> Tensor:
    """The same patches of so many pixels a side, in another order."""
    rows_BPM = functional.unfold(x_BCHW, patch, stride=patch)
    order = torch.randperm(rows_BPM.shape[2], generator=torch.Generator().manual_seed(0))
    return functional.fold(rows_BPM[:, :, order], x_BCHW.shape[2:], patch, stride=patch)


@pytest.mark.parametrize("estimate", ["attention", "cross-attention", "transformer"])
@torch.no_grad()
def test_without_positions_the_order_of_the_patches_of_the_estimate_is_lost(estimate: Way) -> None:
    """Permuting them leaves F as it was, which is why positions are there."""
    adm, batch = network(estimate=estimate, positions=False), inputs()
    given = {"x_t": batch.x_t, "t": batch.t, "label": batch.label}
    out = adm(estimate=batch.estimate, **given)
    moved = adm(estimate=shuffled_patches(batch.estimate, patch=2), **given)
    torch.testing.assert_close(moved, out, atol=1e-5, rtol=1e-5)
    assert (adm(estimate=2 * batch.estimate, **given) - out).abs().max() > 1e-3


@pytest.mark.parametrize("estimate", WAYS)
@torch.no_grad()
def test_with_positions_the_order_of_the_patches_of_the_estimate_counts(estimate: Way) -> None:
    """Permuting them changes F; concatenation has places without learning any."""
    adm, batch = network(estimate=estimate), inputs()
    given = {"x_t": batch.x_t, "t": batch.t, "label": batch.label}
    out = adm(estimate=batch.estimate, **given)
    moved = adm(estimate=shuffled_patches(batch.estimate, patch=2), **given)
    assert (moved - out).abs().max() > 1e-3


@torch.no_grad()
def test_concatenation_is_one_convolution_of_both() -> None:
    """The two halves of the first convolution do what one over [x_t, x̂] would do."""
    adm, batch = network(estimate="concatenation"), inputs()
    assert adm.first_estimate is not None
    whole = torch.cat([adm.first.weight, adm.first_estimate.weight], dim=1)
    both = torch.cat([batch.x_t, batch.estimate], dim=1)
    expected = functional.conv2d(both, whole, adm.first.bias, padding=1)
    seen: list[Tensor] = []
    adm.down[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch.through(adm)
    torch.testing.assert_close(seen[0], expected, atol=1e-5, rtol=1e-5)


def test_weights_follow_from_the_seed() -> None:
    """Initial weights come from torch's generator: one seed makes one network, two make two."""
    options = AdmOptions(channels=4, multipliers=(1, 2), blocks=1, attention=(4,), classes=True)
    states = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            states.append(Adm(options, shape=GREY, classes=3).state_dict())
    same, again, other = states
    assert all(torch.equal(same[name], again[name]) for name in same)
    assert not torch.equal(same["first.weight"], other["first.weight"])


def test_a_network_without_classes_ignores_labels() -> None:
    """Data may have classes that the network does not use."""
    adm, batch = network(classes=False), inputs()
    assert not adm.uses_labels
    without = adm(estimate=batch.estimate, x_t=batch.x_t, t=batch.t, label=None)
    assert torch.equal(batch.through(adm), without)


@torch.no_grad()
def test_dropout_is_drawn_in_training_only() -> None:
    """The option reaches the blocks: passes differ in training and are equal in evaluation."""
    adm, batch = network(dropout=0.5), inputs()
    assert torch.equal(batch.through(adm), batch.through(adm))
    adm.train()
    assert not torch.equal(batch.through(adm), batch.through(adm))
