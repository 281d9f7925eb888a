"""A whole run of the product is the run that the formulas give.

The product trains on small images in colour through its command line; `plain_run` computes the
same from the paper's formulas.  They agree to rounding at every step, in all that is left at the
end, and in the samples.
"""

from pathlib import Path
from typing import Any, Final, final

import numpy as np
import pytest
import torch
from attrs import frozen
from plain_formulas import pseudo_huber, pseudo_lpips, variance_exploding, variance_preserving
from plain_run import Settings, Trained, algorithm_1, algorithm_2
from torch import Tensor
from trunks import save_trunk
from whole_runs import (
    ADM,
    ALGORITHM_2,
    IMAGES,
    PSEUDO_HUBER,
    PSEUDO_LPIPS,
    VE,
    VP,
    FinishedRun,
    Setting,
    make_network,
    run_setting,
    smooth_images,
)

SHAPE: Final = (3, 16, 16)
IMAGES_N: Final = 47
CLASSES: Final = 5
NETWORK: Final[dict[str, Any]] = {"channels": 8, "dropout": 0.3}
SAMPLE_STEPS: Final = (1, 2, 5)
SAMPLES: Final = 70  # of which two blocks are made
C_HUBER: Final = 0.015
C_LPIPS: Final = 6.9e-5
TRUNK_SIZE: Final = 24


@final
@frozen(kw_only=True)
class Case:
    """One run.

    Attributes:
        entrance: how x̂ enters the network; as further channels it changes most.
        settings: as in `COMMON`, which they are added to.
    """

    name: str
    lpips: bool = False
    exploding: bool = False
    entrance: str
    settings: dict[str, Any]


COMMON: Final[dict[str, Any]] = {
    "T": 50,
    "seed": 3,
    "epochs": 4,
    "batch_images": 16,  # 15 of 47 images are stale in each epoch, and 3 of them in all epochs
    "betas": (0.8, 0.98),
    # Some biases have no effect and a gradient of mere rounding, which the usual 1e-8 would let
    # Adam blow up to whole steps.
    "eps": 1e-3,
}
"""Little of it is what a recipe has by default, so that a setting that is not heard is noticed."""

CASES: Final = (
    Case(
        name="pseudo-huber",
        entrance="concatenation",
        settings={
            "learning_rate": 1e-2,
            "parts": 2,
            "flips": True,
            "estimate_dropout": 0.0,
            "warmup_steps": 3,
            "drops": (0.5,),
            "drop_factor": 0.5,
            "clip": 2.0,
            "ema_decays": (0.6, 0.9),
            "ema_warmup": False,
        },
    ),
    Case(
        name="pseudo-huber, estimate dropout",
        entrance="concatenation",
        settings={
            "learning_rate": 1e-2,
            "parts": 1,
            "flips": False,
            "estimate_dropout": 0.4,
            "warmup_steps": 0,
            "drops": (),
            "drop_factor": 0.25,
            "clip": None,
            "ema_decays": (0.99,),
            "ema_warmup": True,
        },
    ),
    Case(
        name="pseudo-lpips",
        lpips=True,
        entrance="attention",
        settings={
            "learning_rate": 4e-3,
            "parts": 4,
            "flips": True,
            "estimate_dropout": 0.0,
            "warmup_steps": 0,
            "drops": (0.25, 0.75),
            "drop_factor": 0.25,
            "clip": 0.5,
            "ema_decays": (0.5,),
            "ema_warmup": False,
        },
    ),
    Case(
        name="pseudo-lpips, estimate dropout",
        lpips=True,
        entrance="cross-attention",
        settings={
            "learning_rate": 4e-3,
            "parts": 2,
            "flips": True,
            "estimate_dropout": 0.4,
            "warmup_steps": 2,
            "drops": (),
            "drop_factor": 0.25,
            "clip": None,
            "ema_decays": (0.4, 0.8),
            "ema_warmup": True,
        },
    ),
    Case(
        name="variance exploding",
        exploding=True,
        entrance="concatenation",
        settings={
            "learning_rate": 1e-2,
            "parts": 2,
            "flips": True,
            "estimate_dropout": 0.3,
            "warmup_steps": 0,
            "drops": (),
            "drop_factor": 0.25,
            "clip": None,
            "ema_decays": (0.5,),
            "ema_warmup": False,
        },
    ),
)


@final
@frozen(kw_only=True)
class Pair:
    """One run by the product and by the formulas."""

    product: FinishedRun
    plain: Trained
    samples: dict[int, Tensor]
    extra_decays: tuple[float, ...]


def by_the_product(case: Case, *, folder: Path) -> FinishedRun:
    settings = {**COMMON, **case.settings}
    decay, *extra = settings.pop("ema_decays")
    timesteps = settings.pop("T")
    metric = PSEUDO_HUBER.format(c=C_HUBER)
    if case.lpips:
        metric = PSEUDO_LPIPS.format(c=C_LPIPS, size=TRUNK_SIZE, **save_trunk(folder, "vgg"))
    setting = Setting(
        data=IMAGES.format(path=folder / "images.npz"),
        schedule=(VE if case.exploding else VP).format(timesteps=timesteps),
        network=ADM.format(attention=8, entrance=case.entrance, **NETWORK),
        metric=metric,
        accumulation_steps=settings.pop("parts"),
        gradient_clip=settings.pop("clip"),
        ema_decay=decay,
        extra_ema_decays=tuple(extra),
        samplers=((ALGORITHM_2, SAMPLE_STEPS, SAMPLES),),
        **settings,
    )
    return run_setting(setting, folder)


def by_the_formulas(
    case: Case, *, folder: Path, x_0: Tensor, y: Tensor
) -> tuple[Trained, dict[int, Tensor]]:
    settings = {**COMMON, **case.settings}
    plan = Settings(
        schedule=(variance_exploding if case.exploding else variance_preserving)(settings["T"]),
        distance=pseudo_lpips(C_LPIPS, trunk=folder / "vgg-0.pth", size=TRUNK_SIZE)
        if case.lpips
        else pseudo_huber(C_HUBER),
        **settings,
    )
    network = make_network(
        seed=plan.seed,
        image_shape=SHAPE,
        classes=CLASSES,
        entrance=case.entrance,
        multipliers=(1, 2),
        blocks=1,
        attention=(8,),
        **NETWORK,
    )
    trained = algorithm_1(network, plan, x_0=x_0, y=y)
    averaged = trained.averages[0]
    samples = {
        steps: algorithm_2(
            network,
            plan,
            weights=averaged,
            steps=steps,
            images=SAMPLES,
            shape=SHAPE,
            classes=CLASSES,
        )
        for steps in SAMPLE_STEPS
    }
    return trained, samples


def both(case: Case, *, folder: Path) -> Pair:
    images, labels = smooth_images(
        folder / "images.npz", images=IMAGES_N, size=SHAPE[1], classes=CLASSES
    )
    product = by_the_product(case, folder=folder)
    x_0 = torch.from_numpy(images).float() / 127.5 - 1
    plain, samples = by_the_formulas(case, folder=folder, x_0=x_0, y=torch.from_numpy(labels))
    return Pair(
        product=product,
        plain=plain,
        samples=samples,
        extra_decays=case.settings["ema_decays"][1:],
    )


@pytest.fixture(scope="module", params=CASES, ids=[case.name for case in CASES])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    torch.set_num_threads(1)
    return both(request.param, folder=tmp_path_factory.mktemp("whole-run"))


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """The same names, and numbers that differ by rounding."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        close = torch.isclose(found[name], tensor, rtol=1e-4, atol=1e-5)
        assert close.all(), f"{name}: off by {float((found[name] - tensor).abs().max()):g}"


def test_losses(pair: Pair) -> None:
    """Algorithm 1: the loss of every step, to a hundred-thousandth."""
    assert len(pair.plain.losses) == 8
    assert pair.product.losses() == pytest.approx(pair.plain.losses, rel=1e-5)


def test_weights(pair: Pair) -> None:
    """The weights after the last step."""
    assert_close(pair.product.weights(), pair.plain.weights)


def test_averages(pair: Pair) -> None:
    """Every moving average of the weights, which follows them after each step."""
    first, *extra = pair.plain.averages
    assert_close(pair.product.average(), first)
    for decay, expected in zip(pair.extra_decays, extra, strict=True):
        assert_close(pair.product.average(decay), expected)


def test_estimates(pair: Pair) -> None:
    """The target store: which rows were written, and what they hold."""
    written, rows = pair.product.rows()
    assert written.nonzero().flatten().tolist() == sorted(pair.plain.store)
    expected = torch.stack([row for _, row in sorted(pair.plain.store.items())]).flatten(1)
    torch.testing.assert_close(rows[written], expected, rtol=1e-4, atol=1e-4)


def test_samples(pair: Pair) -> None:
    """Algorithm 2 at every number of steps, to the rounding of one level in 255."""
    found = pair.product.samples()
    for steps, expected in pair.samples.items():
        images = found[f"{ALGORITHM_2}-{steps}"].astype(np.float64)
        levels = (expected.double() + 1).mul(127.5).permute(0, 2, 3, 1).numpy()
        assert np.abs(images - levels).max() < 0.55
