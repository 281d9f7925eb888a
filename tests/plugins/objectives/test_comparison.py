"""Comparisons of sets: weights of kinds, places of a step, kept features, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dddm.data.in_memory_split import InMemorySplit
from dddm.errors import RecipeError
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Kind, RecipeContext
from dddm.recipe.read import read_component, read_recipe
from dddm.registry.loader import load_catalogue
from dddm.support.images import from_uint8
from dddm_objectives import kernels
from dddm_objectives.comparison import Comparison, drift
from dddm_objectives.set_options import DriftingOptions, check_drifting

OFF: dict[str, Any] = {"pixels": 0.0, "patches": 0.0, "random": 0.0}
SETS, ROWS, REAL = 2, 3, 5


def with_options(*words: str, **more: Any) -> DriftingOptions:
    """Options as a recipe gives them."""
    options = [f"{name}={value}" for name, value in more.items()] + list(words)
    use = read_component(Kind.OBJECTIVE, "drifting", options=options, catalogue=load_catalogue())
    found: DriftingOptions = use.options
    return found


@pytest.fixture
def generated() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(SETS * ROWS, 1, 8, 8, generator=generator) * 2 - 1).requires_grad_()


@pytest.fixture
def real() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(SETS, REAL, 1, 8, 8, generator=generator) * 2 - 1


def plain(groups: list[Tensor], of_real: list[Tensor]) -> list[float]:
    """The loss in each group, one set and one place after the other."""
    losses = []
    for g_BPD, r_BPD in zip(groups, of_real, strict=True):
        found = []
        for one in range(SETS):
            for place in range(g_BPD.shape[1]):
                g = g_BPD[one * ROWS : (one + 1) * ROWS, place]
                r = r_BPD[one * REAL : (one + 1) * REAL, place]
                distances = [
                    float((r[i] - r[j]).norm()) for i in range(REAL) for j in range(REAL) if i != j
                ]
                scale = sum(distances) / len(distances)
                towards, _ = drift(g[None] / scale, r[None] / scale, temperatures=(0.05, 0.2))
                # What is left when the target is held still: the square of the drift.
                found.append(float(towards.square().mean()))
        losses.append(sum(found) / len(found))
    return losses


def test_kinds_are_averaged_by_their_weights(generated: Tensor, real: Tensor) -> None:
    """Within a kind over its groups, then over kinds: beside loops over sets and places."""
    options = DriftingOptions(
        pixels=1.0, pixel_windows=(1, 2), patches=3.0, patch_sizes=(5,), random=0.0, statistics=0.5
    )
    loss, _ = Comparison(options)(generated, real)
    total = 0.0
    for weight, kind in (
        (1.0, kernels.pixels((1, 2))),
        (3.0, kernels.patches((5,))),
        (0.5, kernels.statistics),
    ):
        losses = plain(
            list(kind(generated.detach().double())), list(kind(real.flatten(0, 1).double()))
        )
        total += weight * sum(losses) / len(losses)
    assert float(loss.detach()) == pytest.approx(total / 4.5, rel=1e-4)


def test_a_weight_of_zero_leaves_a_kind_out(generated: Tensor, real: Tensor) -> None:
    """And only ratios matter."""
    alone = Comparison(DriftingOptions(**{**OFF, "patches": 1.0}))(generated, real)
    twice = Comparison(DriftingOptions(**{**OFF, "patches": 2.0}))(generated, real)
    for one, other in zip(alone, twice, strict=True):
        assert torch.equal(one, other)


def test_its_gradient_moves_along_the_drift(generated: Tensor, real: Tensor) -> None:
    """In pixels: −2 V / (numbers of all sets × scale), V as the public formula has it."""
    loss, size = Comparison(DriftingOptions(**{**OFF, "pixels": 1.0}))(generated, real)
    (gradient,) = torch.autograd.grad(loss, generated)
    g, r = generated.detach().reshape(SETS, ROWS, -1), real.flatten(2)
    sizes = []
    for one in range(SETS):
        scale = torch.pdist(r[one]).mean()
        towards, raw = drift(g[one][None] / scale, r[one][None] / scale, temperatures=(0.05, 0.2))
        sizes.append(raw)
        expected = -2 * towards[0] / (scale * SETS * ROWS * 64)
        found = gradient.reshape(SETS, ROWS, -1)[one]
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(size, torch.stack(sizes).mean())


def test_a_set_is_compared_by_itself(generated: Tensor, real: Tensor) -> None:
    compare = Comparison(DriftingOptions(statistics=1.0, contrast=1.0))
    both, _ = compare(generated, real)
    each = [
        compare(generated[one * ROWS : (one + 1) * ROWS], real[one : one + 1])[0]
        for one in range(SETS)
    ]
    torch.testing.assert_close(both, torch.stack(each).mean())


def test_places_change_from_step_to_step(generated: Tensor, real: Tensor) -> None:
    """So many at a step, the same for one step, and over many steps all of them alike."""
    # Brighter from the top down, so that other places of real images would be far off.
    ramp = torch.linspace(-1, 1, 8)[:, None]
    generated, real = (0.3 * generated + ramp).detach(), 0.3 * real + ramp
    few = Comparison(DriftingOptions(**{**OFF, "patches": 1.0}, patch_sizes=(3,), places=4))
    every = Comparison(DriftingOptions(**{**OFF, "patches": 1.0}, patch_sizes=(3,), places=9))
    found = torch.tensor([few(generated, real, step=step) for step in range(100)])
    assert found[0].tolist() == [float(one) for one in few(generated, real, step=0)]
    assert len(set(found[:, 0].tolist())) > 50
    expected = torch.stack(every(generated, real))
    torch.testing.assert_close(found.mean(0), expected, rtol=0.05, atol=0)


def split_of(real: Tensor) -> InMemorySplit:
    images = (real.flatten(0, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return InMemorySplit(
        all_images=images, all_labels=torch.arange(len(images)) % 2, class_names=("a", "b")
    )


def test_kept_features_are_those_of_the_images(generated: Tensor, real: Tensor) -> None:
    """Whatever their order, where the indices are given."""
    options = with_options('features={use = "digits-classifier"}', **OFF)
    split = split_of(real)
    index = torch.randperm(SETS * REAL).reshape(SETS, REAL)
    images = from_uint8(split.images(index.flatten())).reshape(SETS, REAL, 1, 8, 8)
    fresh, prepared = Comparison(options), Comparison(options)
    prepared.prepare(images=split, flips=False, device=torch.device("cpu"), progress=no_progress)
    expected, size = fresh(generated, images)
    # Nothing but the indices says which images they are.
    found, found_size = prepared(generated, torch.zeros_like(images), index=index)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_size, size)


def test_too_many_features_are_not_kept(
    generated: Tensor, real: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dddm_objectives.comparison._KEPT_BYTES", 1000)
    options = with_options('features={use = "digits-classifier"}', **OFF)
    index = torch.arange(SETS * REAL).reshape(SETS, REAL)
    fresh, prepared = Comparison(options), Comparison(options)
    prepared.prepare(
        images=split_of(real), flips=False, device=torch.device("cpu"), progress=no_progress
    )
    assert torch.equal(prepared(generated, real, index=index)[0], fresh(generated, real)[0])


def test_features_reach_the_images(generated: Tensor, real: Tensor) -> None:
    """By the maps of a network whose weights stay as they are."""
    options = with_options('features={use = "digits-classifier"}', "features_weight=0.5", **OFF)
    loss, _ = Comparison(options)(generated, real)
    (gradient,) = torch.autograd.grad(loss, generated)
    assert bool((gradient.flatten(1).abs().amax(1) > 0).all())


def issues(*, side: int = 8, images: int = 1000, classes: bool = False, **options: Any) -> set[str]:
    data = DatasetInfo(
        shape=ImageShape(channels=1, height=side, width=2 * side),
        train_images=images,
        classes=tuple("abcde"),
    )
    context = RecipeContext(data=data, tables={"backbone": {"classes": classes}})
    return {issue.option for issue in check_drifting(DriftingOptions(**options), context)}


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, set()),
        ({"patch_sizes": (9,)}, {"patch_sizes"}),
        ({"patch_sizes": (9,), "patches": 0.0}, set()),
        ({"patch_sizes": (9,), "patches": 0.0, "contrast": 0.1}, {"patch_sizes"}),
        ({"pixel_windows": (1, 16)}, {"pixel_windows"}),
        ({"pixel_windows": ()}, {"pixel_windows"}),
        ({"pixel_windows": (), "pixels": 0.0}, set()),
        ({**OFF}, {"pixels"}),
        ({**OFF, "statistics": 0.1}, set()),
        ({"images": 130}, set()),
        ({"images": 129}, {"real"}),
        ({"images": 5 * 130, "classes": True}, set()),
        ({"images": 5 * 130 - 1, "classes": True}, {"real"}),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], wrong: set[str]) -> None:
    """Before training, at the option to change."""
    assert issues(**options) == wrong


def refusals() -> Iterator[tuple[str, str, str]]:
    yield "objective.patch_sizes=[9]", "do not fit into images of 8×8", "use 8 or less"
    yield "objective.rows=1", "not at least 2", "a whole number"
    yield "objective.real=500", "the class 8 has 145", "use smaller sets"
    yield 'objective.features.use="resnet20"', "accepts images of 3×32×32", "pixels"
    yield (
        'objective.features={use="learned", images={use="cifar10"}}',
        "learned on images of 3×32×32, and those of the run are 1×8×8",
        "learn them on other images",
    )
    yield 'objective.features.use="inception"', "features with gradient", "pixels"


@pytest.mark.parametrize(("change", "what", "remedy"), list(refusals()))
def test_a_recipe_is_refused_with_the_place(change: str, what: str, remedy: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(Path("digits_drifting"), overrides=[change], catalogue=load_catalogue())
    assert what in str(caught.value)
    assert remedy in str(caught.value)
    assert change.partition("=")[0].removesuffix(".use") in str(caught.value)
