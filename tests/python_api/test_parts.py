"""Parts as a library: `dddm.build`, `dddm.Loss` and generators of one's own."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import dddm
from dddm.errors import DddmError, PluginError, UsageError
from dddm.interfaces.backbone import Backbone
from dddm.interfaces.info import ImageShape
from dddm.interfaces.objective import RealSets
from dddm.support.images import to_uint8
from dddm.support.noise import noise_by_index

SMALL = {"channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": [4], "classes": True}
SHAPE = (1, 8, 8)
CLASSES = tuple("0123456789")


def build_network(*, std: float = 0.05, **options: Any) -> Backbone:
    torch.manual_seed(0)
    network: Backbone = dddm.build(
        "backbone", "adm", {**SMALL, **options}, shape=SHAPE, classes=len(CLASSES)
    )
    # The last layer begins at zero.
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return network


def build_generator(network: Backbone, **more: Any) -> dddm.Generator:
    schedule = dddm.build("schedule", "vp", {"timesteps": 50})
    return dddm.Generator.from_parts(
        schedule=schedule, backbone=network, shape=SHAPE, classes=CLASSES, **more
    )


def digits() -> tuple[Tensor, Tensor]:
    split = dddm.build("dataset", "digits").splits()["train"]
    index = torch.arange(30)
    return split.images(index) / 127.5 - 1, split.labels(index)


def test_a_network_of_parts_samples_as_the_run_that_it_is_taken_from(trained: Path) -> None:
    """Bit for bit; it is sampled from in eval mode, and is in training mode afterwards."""
    run = dddm.load(trained / "runs/tiny", device="cpu")
    weights = run._network.backbone.state_dict()
    network = build_network(dropout=0.5)
    network.load_state_dict(weights)
    own = build_generator(network)
    assert network.training
    assert torch.equal(own.sample(images=5, steps=3).tensor, run.sample(images=5, steps=3).tensor)
    assert all(module.training for module in network.modules())
    assert repr(own) == "<Generator from parts: 1×8×8, 10 classes>"
    assert own.step == 0


def test_a_generator_follows_its_network() -> None:
    """It samples from the weights of that moment."""
    network = build_network()
    own = build_generator(network)
    before = own.sample(images=4).tensor
    torch.nn.init.normal_(next(network.parameters()), std=1.0)
    assert not torch.equal(own.sample(images=4).tensor, before)


def test_between_two_seeds_all_noise_moves() -> None:
    """x_T's and the first estimate's, of a network that looks at both: by hand, image by image."""
    own = build_generator(build_network(std=0.2, estimate="concatenation"))
    model = own.denoiser
    made = own.interpolate(4, 9, images=5, number=6, label=2).tensor

    def mixed(purpose: str, weight: float) -> Tensor:
        a, b = (
            noise_by_index(seed=seed, purpose=purpose, index=torch.tensor([6]), shape=SHAPE)
            for seed in (4, 9)
        )
        angle = math.acos(float(functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)))
        sum_ = math.sin((1 - weight) * angle) * a + math.sin(weight * angle) * b
        return sum_ / math.sin(angle)

    def by_hand(weight: float, weight_of_estimate: float) -> Tensor:
        estimate = model.evaluate(
            x_t=model.schedule.prior(noise=mixed("sample x_T", weight)),
            t=model.schedule.grid(steps=1),
            label=torch.tensor([2]),
            estimate=mixed("sample estimate", weight_of_estimate),
        )
        return to_uint8(estimate)[0].int()

    for k, image in enumerate(made.int()):
        assert (image - by_hand(k / 4, k / 4)).abs().max() <= 1
        assert (image - by_hand(k / 4, 1 - k / 4)).abs().max() > 8 or k == 2
        assert (image - by_hand(1 - k / 4, k / 4)).abs().max() > 8 or k == 2


def test_a_sampler_of_ones_own(trained: Path) -> None:
    """One that `dddm.build` made samples as it does by name; it has its options already."""
    run = dddm.load(trained / "runs/tiny", device="cpu")
    sampler = dddm.build("sampler", "ddim", {"eta": 1.0})
    made = run.sample(images=3, steps=4, sampler=sampler).tensor
    named = run.sample(images=3, steps=4, sampler="ddim", options={"eta": 1.0}).tensor
    assert torch.equal(made, named)
    ends = run.interpolate(0, 1, images=2, steps=4, sampler=sampler)
    assert torch.equal(ends[0].tensor, made[:1])
    with pytest.raises(UsageError, match="options are given beside a sampler, Ddim"):
        run.sample(sampler=sampler, options={"eta": 0.0})
    with pytest.raises(UsageError, match="visits a new time at each step"):
        run.sample(steps=51, sampler=sampler)


def test_the_loss_of_dddm_is_that_of_its_equations() -> None:
    """Eq. 2, 3 and 5 by hand from the same draws, and the estimate for the store."""
    network = build_network()
    model = build_generator(network).denoiser
    loss = dddm.Loss("directly-denoising", metric=dddm.build("metric", "pseudo-huber", {"c": 0.1}))
    x_0, label = digits()
    store = torch.randn_like(x_0)
    outcome = loss(
        model,
        x_0=x_0,
        label=label,
        memory={"estimate": store},
        generator=torch.Generator().manual_seed(5),
    )
    generator = torch.Generator().manual_seed(5)
    t = torch.randint(1, 51, (30,), generator=generator)
    noise = torch.randn(x_0.shape, generator=generator)
    # ᾱ_t of DDPM's linear β at 50 times; the schedule is tried on its own elsewhere.
    a, s = (
        f(t).float().reshape(-1, 1, 1, 1) for f in (model.schedule.signal, model.schedule.noise)
    )
    x_t = a * x_0 + s * noise
    raw = network(
        x_t=model.schedule.network_input(x_t=x_t, t=t),
        t=model.schedule.network_time(t),
        estimate=store,
        label=label,
    )
    estimate = x_t - raw
    each = ((estimate - x_0).square().flatten(1).sum(1) + 0.1**2).sqrt() - 0.1
    assert torch.allclose(outcome.loss, each.mean(), rtol=1e-5)
    assert torch.allclose(outcome.memory["estimate"], estimate, atol=1e-5)
    assert not outcome.memory["estimate"].requires_grad
    outcome.loss.backward()  # type: ignore[no-untyped-call]
    assert next(network.parameters()).grad is not None


def test_draws_come_from_torchs_generator() -> None:
    """By default the global one, so that `torch.manual_seed` repeats a loop."""
    model = build_generator(build_network(estimate="none")).denoiser
    loss = dddm.Loss("denoising", {"weight": "uniform"}, metric=dddm.build("metric", "l2"))
    x_0, label = digits()

    def once(seed: int) -> float:
        torch.manual_seed(seed)
        return float(loss(model, x_0=x_0, label=label).loss.detach())

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_an_objective_that_compares_sets() -> None:
    """Drifting, with real images of each set's class; features in pixels need no preparation."""
    x_0, label = digits()
    order = label.argsort()
    rows = order[:30].reshape(10, 3)[:, :2].flatten()  # 2 rows of each of 10 sets
    sets = RealSets(index=order.reshape(10, 3), x_0=x_0[order].reshape(10, 3, *SHAPE),
                    label=label[order].reshape(10, 3)[:, 0])  # fmt: skip
    split = dddm.build("dataset", "digits").splits()["train"]
    loss = dddm.Loss("drifting", {"rows": 2, "real": 3}, images=split)
    model = build_generator(build_network(estimate="none")).denoiser
    outcome = loss(model, x_0=x_0[rows], label=label[rows], sets=sets)
    assert outcome.loss_B is None
    outcome.loss.backward()  # type: ignore[no-untyped-call]


def test_every_kind_is_built() -> None:
    """By the classes of `dddm.interfaces`, and a torch optimizer."""
    schedule = dddm.build("schedule", "karras")
    assert dddm.build("parametrization", "edm", {"sigma_data": 0.5}, schedule=schedule)
    assert dddm.build("sampler", "ddim").evaluations(5) == 5
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = dddm.build("optimizer", "adam", parameters=[parameter], learning_rate=0.1)
    assert isinstance(optimizer, torch.optim.Optimizer)
    named = ImageShape(channels=1, height=8, width=8)
    assert dddm.build("backbone", "dddm:adm", SMALL, shape=named, classes=10).uses_labels


def _model(**options: Any) -> Any:
    return build_generator(build_network(**options)).denoiser


def _l2() -> Any:
    return dddm.build("metric", "l2")


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: dddm.build("network", "adm"), UsageError, "choose from backbone"),
        (lambda: dddm.build("backbone", "adn"), PluginError, "did you mean adm?"),
        (lambda: dddm.build("schedule", "vp", {"timestep": 5}), UsageError, "did you mean times"),
        (
            lambda: dddm.build("backbone", "adm", SMALL, shape=(8, 8), classes=10),
            UsageError,
            "it must be (channels, height, width)",
        ),
        (lambda: dddm.Loss("directly-denoising"), UsageError, "needs a metric"),
        (lambda: dddm.Loss("denoise"), PluginError, "denoising"),
        (
            lambda: dddm.Loss("directly-denoising", metric=_l2())(_model(), x_0=digits()[0]),
            UsageError,
            "needs memory of the shapes {'estimate': (30, 1, 8, 8)}",
        ),
        (
            lambda: dddm.Loss("denoising", metric=_l2())(
                _model(estimate="none"), x_0=digits()[0].to(torch.uint8)
            ),
            UsageError,
            "x_0 = images / 127.5 - 1",
        ),
        (
            lambda: dddm.Loss("energy-score")(_model(), x_0=digits()[0], label=digits()[1]),
            UsageError,
            "takes_latent=True",
        ),
        (
            lambda: dddm.Loss("drifting")(_model(estimate="none"), x_0=digits()[0]),
            UsageError,
            "needs sets of real images",
        ),
        (
            lambda: dddm.Loss("consistency", {"averaged_teacher": True}, metric=_l2())(
                _model(estimate="none"), x_0=digits()[0], label=digits()[1]
            ),
            UsageError,
            "needs the averaged network",
        ),
    ],
)
def test_a_mistake_is_named(make: Callable[[], object], error: type[DddmError], says: str) -> None:
    """Before anything is computed, with what would be right."""
    with pytest.raises(error) as caught:
        make()
    assert says in str(caught.value)
