"""Guidance against Bayes' rule, a plain loop, and what it may cost."""

from typing import final

import pytest
import torch
from attrs import frozen
from torch import Tensor
from toy_denoisers import Cache, ToyDenoiser, mixing

from dddm.core.guidance import GuidedDenoiser
from dddm.testing.toys import PATHS, ToySchedule

MEANS, VARIANCE = torch.tensor([-0.6, 0.2, 0.7], dtype=torch.float64), 0.04
"""Three classes of images, N(m_k, v) in each pixel, all equally likely."""
NONE = 3
_, LINEAR, EXPLODING = PATHS


@final
@frozen(kw_only=True)
class Mixture:
    """What x_t says, pixel by pixel; the last dimension, K, are the classes.

    Attributes:
        log_likelihood: log p(x_t | y = k), without a constant.
        mean: E[x_0 | x_t, y = k].
    """

    log_likelihood: Tensor
    mean: Tensor

    @classmethod
    def at(cls, x: Tensor, *, a: Tensor, s: Tensor) -> "Mixture":
        apart, spread = x[..., None] - a[..., None] * MEANS, (a**2 * VARIANCE + s**2)[..., None]
        return cls(
            log_likelihood=-(apart**2) / (2 * spread),
            mean=MEANS + a[..., None] * VARIANCE * apart / spread,
        )


def of_label(values: Tensor, of_none: Tensor, label: Tensor) -> Tensor:
    """The values of each image's class, or those of no class."""
    label_B111 = label.reshape(-1, 1, 1, 1)
    index = label_B111.clamp(max=2).expand(of_none.shape)[..., None]
    return torch.where(label_B111 == NONE, of_none, values.gather(-1, index)[..., 0])


def coefficients(schedule: ToySchedule, t: Tensor) -> tuple[Tensor, Tensor]:
    a, s = (of(t).reshape(-1, 1, 1, 1) for of in (schedule.signal, schedule.noise))
    return a, s


def bayes(cache: Cache, *, schedule: ToySchedule) -> Tensor:
    """E[x_0 | x_t, y], and E[x_0 | x_t] for the label `NONE`."""
    a, s = coefficients(schedule, cache.t)
    found = Mixture.at(cache.x_t, a=a, s=s)
    of_none = (found.log_likelihood.softmax(-1) * found.mean).sum(-1)
    assert cache.label is not None
    return of_label(found.mean, of_none, cache.label)


@pytest.mark.parametrize("schedule", PATHS, ids=lambda path: path.name)
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.0, 7.5])
def test_scores_are_combined_as_in_the_paper(schedule: ToySchedule, scale: float) -> None:
    """∇ log p(x) + w (∇ log p(x|y) − ∇ log p(x)), by Tweedie's formula from autograd's scores."""
    t = schedule.grid(steps=5)[1:].repeat(3)  # a(T) may be 0, where x_t says nothing of x_0
    label = torch.arange(3).repeat_interleave(4)
    x = torch.randn(12, 1, 4, 4, dtype=torch.float64).requires_grad_()
    a, s = coefficients(schedule, t)

    def score(labels: Tensor) -> Tensor:
        of_each = Mixture.at(x, a=a, s=s).log_likelihood
        log_p = of_label(of_each, of_each.logsumexp(-1), labels)
        return torch.autograd.grad(log_p.sum(), x)[0]

    none = score(torch.full_like(label, NONE))
    combined = none + scale * (score(label) - none)
    expected = (x.detach() + s**2 * combined) / a
    model = ToyDenoiser(schedule, lambda cache, _: bayes(cache, schedule=schedule))
    guided = GuidedDenoiser(model, no_class=NONE, scale=scale)
    found = guided.evaluate(x_t=x.detach(), t=t, label=label, estimate=None)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_each_image_by_a_plain_loop() -> None:
    """Times in and out of the interval in one batch, its ends among them; every input is passed."""
    model = ToyDenoiser(EXPLODING, mixing)
    guided = GuidedDenoiser(model, no_class=NONE, scale=2.5, interval=(0.25, 4.0))
    t = torch.tensor([0.1, 0.25, 0.26, 1.0, 4.0, 4.1, 80.0], dtype=torch.float64)
    in_interval = [False, False, True, True, True, False, False]
    x, estimate = torch.randn(2, 7, 1, 4, 4)
    label, second = torch.tensor([0, 1, 2, 0, 1, 2, 0]), t / 2
    cache = guided.begin(x_t=x, t=t, label=label, second_time=second)
    found = guided.refine(cache, estimate=estimate)
    for image in range(7):

        def one(number: int, image: int = image) -> Tensor:
            row = slice(image, image + 1)
            given = Cache(x_t=x[row], t=t[row], label=torch.tensor([number]))
            return mixing(given, estimate[row])[0]

        expected = one(int(label[image]))
        if in_interval[image]:
            expected = one(NONE) + 2.5 * (expected - one(NONE))
        torch.testing.assert_close(found[image], expected)
    for begun in model.caches:
        assert begun.second_time is not None
        assert torch.equal(begun.second_time, second)
        assert torch.equal(begun.x_t, x)
    some = torch.tensor([4, 0, 3])
    selected = guided.refine(guided.select(cache, index=some), estimate=estimate[some])
    assert torch.equal(selected, found[some])


@pytest.mark.parametrize(
    ("time", "interval", "evaluations"),
    [
        (0.5, None, 2),
        (0.5, (0.5, 2.0), 2),
        (0.5, (1.5, 2.0), 1),
        (0.5, (0.2, 0.9), 1),
        (0.75, (2.5, 3.5), 2),
        (1.0, (0.2, 1e9), 1),  # of noise alone, s/a is infinite
        (1.0, None, 2),
    ],
)
def test_outside_of_the_interval_it_costs_nothing(
    time: float, interval: tuple[float, float] | None, evaluations: int
) -> None:
    """One evaluation where no image is guided, of the class alone and to the same bits."""
    model = ToyDenoiser(LINEAR, mixing)
    guided = GuidedDenoiser(model, no_class=NONE, scale=3.0, interval=interval)
    x, t = torch.randn(4, 1, 4, 4), torch.full((4,), time, dtype=torch.float64)
    label = torch.tensor([0, 1, 2, 0])
    cache = guided.begin(x_t=x, t=t, label=label)
    found = guided.refine(cache, estimate=x)
    assert len(model.caches) == len(model.refined) == evaluations
    plain = model.evaluate(x_t=x, t=t, label=label, estimate=x)
    assert torch.equal(found, plain) == (evaluations == 1)
    selected = guided.select(cache, index=torch.tensor([2]))
    assert torch.equal(guided.refine(selected, estimate=x[2:3]), found[2:3])


@pytest.mark.parametrize("latent", [False, True])
def test_samplers_see_the_network_that_is_guided(*, latent: bool) -> None:
    """Its schedule, and whether it takes an estimate or a latent."""
    model = ToyDenoiser(LINEAR, mixing, takes_latent=latent)
    guided = GuidedDenoiser(model, no_class=NONE, scale=2.0)
    assert guided.schedule is LINEAR
    assert guided.takes_latent is latent


def test_without_labels_there_is_nothing_to_guide_to() -> None:
    guided = GuidedDenoiser(ToyDenoiser(LINEAR, mixing), no_class=NONE, scale=2.0)
    with pytest.raises(ValueError, match="label of each image"):
        guided.begin(x_t=torch.zeros(1, 1, 4, 4), t=torch.ones(1), label=None)


def test_what_the_estimate_is_stays() -> None:
    """A latent remains one."""
    for takes_latent in (False, True):
        model = ToyDenoiser(LINEAR, mixing, takes_latent=takes_latent)
        assert GuidedDenoiser(model, no_class=NONE, scale=2.0).takes_latent == takes_latent
