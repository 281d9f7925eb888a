"""Algorithms 1 and 2 once more, as plainly as they can be written.

A plain run shares with the product the network, the order of the images, and the functions that
turn a purpose into random numbers.  Everything else is written here and in `plain_formulas` from
the paper's equations: no interface of the product is used, so that none can hide what it does.

Legend: N images of the data set, B of a batch or a part of it, C channels, H rows, W columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from attrs import frozen
from plain_formulas import Distance, Schedule, at
from torch import Tensor
from whole_runs import batches_of, evaluate_network

from dddm.support.noise import generator_for, noise_by_index, seed_for


@final
@frozen(kw_only=True)
class Settings:
    """All that decides a run beside its images and its network."""

    T: int
    schedule: Schedule
    distance: Distance
    seed: int
    epochs: int
    batch_images: int
    parts: int
    flips: bool
    estimate_dropout: float
    learning_rate: float
    warmup_steps: int
    drops: tuple[float, ...]
    drop_factor: float
    betas: tuple[float, float]
    eps: float
    clip: float | None
    ema_decays: tuple[float, ...]
    ema_warmup: bool


@final
@frozen(kw_only=True)
class Trained:
    """What algorithm 1 leaves: weights and their averages by name, X̂ by the image's index."""

    losses: list[float]
    weights: dict[str, Tensor]
    averages: list[dict[str, Tensor]]
    store: dict[int, Tensor]


def f(network: Any, of: Settings, *, x_hat: Tensor, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """f_θ(x̂, x_t, t), eq. 3, (B, C, H, W).  Whatever T is, the network sees times up to 1000."""
    table, time = of.schedule, (1000 * t.double() / of.T).float()
    F = evaluate_network(network, estimate=x_hat, x_t=at(table.scale, t) * x_t, t=time, label=y)
    return at(table.skip, t) * x_t + at(table.out, t) * F


def algorithm_1(network: Any, of: Settings, *, x_0: Tensor, y: Tensor) -> Trained:
    """Train on images x_0, (N, C, H, W), of classes y, (N,)."""
    theta: dict[str, Tensor] = dict(network.named_parameters())
    adam = Adam(theta, of)
    averages = [copied(theta) for _ in of.ema_decays]
    store: dict[int, Tensor] = {}
    losses: list[float] = []
    a, s = of.schedule.a, of.schedule.s
    order = [
        batches_of(images=len(x_0), batch_images=of.batch_images, seed=of.seed, epoch=n)
        for n in range(of.epochs)
    ]
    network.train()
    for n, batches in enumerate(order):
        for number, i in enumerate(batches):
            k = len(losses)
            # Dropout inside the network is the one thing that draws from the global generator.
            torch.manual_seed(seed_for("dropout", of.seed, k, 0))
            batch = draw(of, n=n, number=number, shape=x_0.shape[1:])
            loss, gradient = 0.0, [torch.zeros_like(value) for value in theta.values()]
            for part in torch.arange(len(i)).chunk(of.parts):
                t, epsilon, is_dropped, fresh, is_flipped = (each[part] for each in batch)
                # x̂ = X̂[i],  x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε
                image = mirrored(x_0[i[part]], where=is_flipped)
                x_hat = mirrored(read(store, i[part], of=of, like=image), where=is_flipped)
                x_hat = torch.where(is_dropped[:, None, None, None], fresh, x_hat)
                x_t = at(a, t) * image + at(s, t) * epsilon
                # x̂' = f_θ(x̂, x_t, t),  loss d(x̂', x_0),  X̂[i] ← x̂'
                x_new = f(network, of, x_hat=x_hat, x_t=x_t, t=t, y=y[i[part]])
                d = of.distance(x_new, image).mean() / of.parts
                write(store, i[part], rows=mirrored(x_new.detach(), where=is_flipped))
                of_part = torch.autograd.grad(d, list(theta.values()))
                gradient = [g + more for g, more in zip(gradient, of_part, strict=True)]
                loss += d.item()
            losses.append(loss)
            # θ ← θ − α Adam(∇θ),  θ_ema ← μ θ_ema + (1−μ) θ
            gradient = clipped(gradient, largest=of.clip)
            adam.step(gradient, alpha=learning_rate(of, k=k, steps=sum(map(len, order))))
            for average, decay in zip(averages, of.ema_decays, strict=True):
                mu = min(decay, (1 + k) / (10 + k)) if of.ema_warmup else decay
                for name, value in theta.items():
                    average[name] = mu * average[name] + (1 - mu) * value.detach()
    return Trained(losses=losses, weights=copied(theta), averages=averages, store=store)


@torch.no_grad()
def algorithm_2(
    network: Any,
    of: Settings,
    *,
    weights: Mapping[str, Tensor],
    steps: int,
    images: int,
    shape: Sequence[int],
    classes: int,
) -> Tensor:
    """Samples in [-1, 1], (N, C, H, W), by `steps` evaluations; image k has class k mod classes."""
    network.load_state_dict(weights)
    network.eval()
    number, t = torch.arange(images), torch.full((images,), of.T)
    noise = noise_by_index(seed=0, purpose="sample x_T", index=number, shape=shape)
    x_T = of.schedule.prior * noise
    x_hat = noise_by_index(seed=0, purpose="sample estimate", index=number, shape=shape)
    for _ in range(steps):
        x_hat = f(network, of, x_hat=x_hat, x_t=x_T, t=t, y=number % classes).clamp(-1, 1)
    return x_hat


@final
class Draws(NamedTuple):
    """The random numbers of a batch; the last three are ours, not the paper's.

    An estimate that is dropped is replaced by `fresh` noise, and an image that is flipped is seen
    in a mirror together with its estimate.
    """

    t: Tensor
    epsilon: Tensor
    is_dropped: Tensor
    fresh: Tensor
    is_flipped: Tensor


def draw(of: Settings, *, n: int, number: int, shape: Sequence[int]) -> Draws:
    """Those of a batch of epoch n: t ~ U{1…T}, ε ~ N(0, I), and ours."""
    B, random = of.batch_images, generator_for("train", of.seed, n, number)
    t = torch.randint(1, of.T + 1, (B,), generator=random)
    epsilon = torch.randn(B, *shape, generator=random)
    is_dropped, fresh, is_flipped = torch.zeros(B).bool(), epsilon, torch.zeros(B).bool()
    if of.estimate_dropout:
        is_dropped = torch.rand(B, generator=random) < of.estimate_dropout
        fresh = torch.randn(B, *shape, generator=random)
    if of.flips:
        is_flipped = torch.rand(B, generator=random) < 0.5
    return Draws(t, epsilon, is_dropped, fresh, is_flipped)


def read(store: Mapping[int, Tensor], i: Tensor, *, of: Settings, like: Tensor) -> Tensor:
    """X̂[i], which is N(0, I) until it is first written."""
    first = noise_by_index(seed=of.seed, purpose="store", index=i, shape=like.shape[1:])
    return torch.stack([store.get(k, row) for k, row in zip(i.tolist(), first, strict=True)])


def write(store: dict[int, Tensor], i: Tensor, *, rows: Tensor) -> None:
    """X̂[i] ← rows."""
    store.update(zip(i.tolist(), rows, strict=True))


def mirrored(x: Tensor, *, where: Tensor) -> Tensor:
    """Left and right exchanged; its own inverse."""
    return torch.where(where[:, None, None, None], x.flip(3), x)


def clipped(gradient: Sequence[Tensor], *, largest: float | None) -> list[Tensor]:
    """The gradient times min(1, largest/‖gradient‖)."""
    norm = sum(float(g.double().square().sum()) for g in gradient) ** 0.5
    factor = 1.0 if largest is None else min(1.0, largest / norm)
    return [g * factor for g in gradient]


def learning_rate(of: Settings, *, k: int, steps: int) -> float:
    """Of step k = 0…steps − 1: it rises in equal steps, and falls at fractions of the run."""
    warmth = min(1.0, (k + 1) / of.warmup_steps) if of.warmup_steps else 1.0
    drops = sum(k >= drop * steps for drop in of.drops)
    return float(of.learning_rate * warmth * of.drop_factor**drops)


@final
class Adam:
    """Algorithm 1 of Kingma & Ba (2014, arXiv 1412.6980)."""

    def __init__(self, theta: Mapping[str, Tensor], of: Settings) -> None:
        self.theta, self.of, self.k = theta, of, 0
        self.m = {name: torch.zeros_like(value) for name, value in theta.items()}
        self.v = {name: torch.zeros_like(value) for name, value in theta.items()}

    @torch.no_grad()
    def step(self, gradient: Sequence[Tensor], *, alpha: float) -> None:
        """θ ← θ − α m̂/(√v̂ + ε), in place."""
        self.k += 1
        beta_1, beta_2 = self.of.betas
        for name, g in zip(self.theta, gradient, strict=True):
            self.m[name] = beta_1 * self.m[name] + (1 - beta_1) * g
            self.v[name] = beta_2 * self.v[name] + (1 - beta_2) * g**2
            m_hat = self.m[name] / (1 - beta_1**self.k)
            v_hat = self.v[name] / (1 - beta_2**self.k)
            self.theta[name].sub_(alpha * m_hat / (v_hat.sqrt() + self.of.eps))


def copied(theta: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The numbers as they are now."""
    return {name: value.detach().clone() for name, value in theta.items()}
