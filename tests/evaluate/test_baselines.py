"""Baselines are what their equations say, in proportion to the classes, and always the same."""

import math

import pytest
import torch
from torch import Tensor

from dddm.data.in_memory_split import InMemorySplit
from dddm.evaluate import baselines
from dddm.evaluate.baselines import applies, baseline_images, blur, gaussian_draws
from dddm.interfaces.info import ImageShape
from dddm.interfaces.measurement import BASELINES
from dddm.support.noise import generator_for

COUNTS = (30, 10, 20)


def split_of(*, seed: int = 0, classes: bool = True, size: int = 4) -> InMemorySplit:
    """Three classes in mixed order, each around a grey of its own."""
    label_M = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
    label_M = label_M[torch.randperm(60, generator=generator_for("order", seed))]
    noise = torch.randn(60, 2, size, size, generator=generator_for("images", seed))
    images = (60 + 50 * label_M.view(-1, 1, 1, 1) + 8 * noise).round().clamp(0, 255)
    return InMemorySplit(
        all_images=images.to(torch.uint8),
        all_labels=label_M if classes else None,
        class_names=("a", "b", "c") if classes else (),
    )


def all_of(name: str, split: InMemorySplit, images: int) -> tuple[Tensor, Tensor | None]:
    found = baseline_images(name, split, images=images)
    each = torch.arange(len(found.images))
    labels = found.images.labels(each)
    return found.images.images(each)[found.index_N], None if labels is None else labels[
        found.index_N
    ]


def test_gaussian_draws_have_mean_and_covariance() -> None:
    """For unit vectors as noise the draws are μ plus the factors A_i; Σ AᵢAᵢᵀ is the covariance."""
    image_nD = torch.randn(7, 5, generator=generator_for("x"), dtype=torch.float64)
    draws_nD = gaussian_draws(image_nD, torch.eye(7, dtype=torch.float64))
    mean_D = gaussian_draws(image_nD, torch.zeros(1, 7, dtype=torch.float64))[0]
    assert mean_D == pytest.approx(image_nD.mean(dim=0))
    factor_nD = draws_nD - mean_D
    torch.testing.assert_close(factor_nD.T @ factor_nD, torch.cov(image_nD.T))


def test_many_images_have_the_moments_of_their_class() -> None:
    """Of one class of known mean and covariance, which rounding hardly changes."""
    generator = generator_for("known")
    base_n = torch.randn(4000, generator=generator)
    other_n = torch.randn(4000, generator=generator)
    pixels = torch.stack([100 + 20 * base_n, 150 + 12 * base_n + 9 * other_n], dim=1)
    split = InMemorySplit(
        all_images=pixels.round().clamp(0, 255).to(torch.uint8).view(-1, 1, 1, 2),
        all_labels=None,
        class_names=(),
    )
    images, labels = all_of("class-gaussian", split, 4000)
    value_N2 = images.view(-1, 2).double()
    assert labels is None
    assert value_N2.mean(dim=0).tolist() == pytest.approx([100, 150], abs=1.5)
    covariance = torch.cov(value_N2.T)
    assert covariance.flatten().tolist() == pytest.approx([400, 240, 240, 225], rel=0.08)


def test_classes_have_their_own_gaussian() -> None:
    images, labels = all_of("class-gaussian", split_of(), 240)
    assert labels is not None
    assert torch.bincount(labels).tolist() == [4 * count for count in COUNTS]
    for k in range(3):
        assert images[labels == k].double().mean() == pytest.approx(60 + 50 * k, abs=3)
    assert len(torch.unique(images.flatten(1), dim=0)) == 240


def test_draws_do_not_depend_on_the_batch() -> None:
    """Image k is the same read alone, and read among others."""
    found = baseline_images("class-gaussian", split_of(), images=50).images
    whole = found.images(torch.arange(50))
    some = torch.tensor([49, 3, 20])
    assert (whole[some].int() - found.images(some).int()).abs().max() <= 1
    assert torch.equal(whole, found.images(torch.arange(50)))


def test_values_are_clamped() -> None:
    """Black and white images have a Gaussian that reaches beyond both."""
    images = torch.zeros(20, 1, 2, 2, dtype=torch.uint8)
    images[10:] = 255
    split = InMemorySplit(all_images=images, all_labels=None, class_names=())
    drawn, _ = all_of("class-gaussian", split, 200)
    assert (drawn == 0).float().mean() > 0.05
    assert (drawn == 255).float().mean() > 0.05
    half = drawn[(drawn[:, 0, 0, 0] > 0) & (drawn[:, 0, 0, 0] < 255)]
    assert len(half) > 50


def test_class_means() -> None:
    """By a plain loop; only the different ones are made."""
    split = split_of()
    found = baseline_images("class-means", split, images=12)
    images, labels = all_of("class-means", split, 12)
    assert len(found.images) == 3
    assert labels is not None
    assert labels.tolist() == [0] * 6 + [1] * 2 + [2] * 4
    for image, label in zip(images, labels.tolist(), strict=True):
        own = split.all_images[split.all_labels == label].double()
        assert torch.equal(image, (own.sum(dim=0) / len(own)).round().to(torch.uint8))


@pytest.mark.parametrize("factor", [2, 4])
def test_blur_by_plain_loops(factor: int) -> None:
    """Blocks are averaged; between the centres of blocks values are interpolated."""
    image_HW = torch.rand(8, 4, generator=generator_for("blur"), dtype=torch.float64)
    found = blur(image_HW.view(1, 1, 8, 4), factor=factor)[0, 0]
    height, width = 8 // factor, 4 // factor
    small = [
        [
            sum(
                float(image_HW[row * factor + i, column * factor + j])
                for i in range(factor)
                for j in range(factor)
            )
            / factor**2
            for column in range(width)
        ]
        for row in range(height)
    ]

    def at(place: int, length: int) -> tuple[int, int, float]:
        """The centres of two blocks around a pixel's, and the share of the second."""
        centre = min(max((place + 0.5) / factor - 0.5, 0), length - 1)
        first = min(math.floor(centre), length - 1)
        return first, min(first + 1, length - 1), centre - first

    for row in range(8):
        top, bottom, down = at(row, height)
        for column in range(4):
            left, right, across = at(column, width)
            upper = small[top][left] * (1 - across) + small[top][right] * across
            lower = small[bottom][left] * (1 - across) + small[bottom][right] * across
            assert float(found[row, column]) == pytest.approx(upper * (1 - down) + lower * down)


def test_blurred_images_are_those_of_training() -> None:
    """Each once, in another order, with their labels; more of them begin again."""
    split = split_of()
    images, labels = all_of("blurred-2", split, 70)
    assert labels is not None
    known = blur(split.all_images.float(), factor=2).round().to(torch.uint8)
    place_N = [next(int(m) for m in range(60) if torch.equal(known[m], image)) for image in images]
    assert sorted(place_N[:60]) == list(range(60)) != place_N[:60]
    assert place_N[60:] == place_N[:10]
    assert split.all_labels is not None
    assert torch.equal(labels, split.all_labels[place_N])
    assert len(baseline_images("blurred-2", split, images=70).images) == 60


def test_which_apply() -> None:
    """Sides must be divided by the size of a block."""

    def names(height: int, width: int) -> list[str]:
        shape = ImageShape(channels=3, height=height, width=width)
        return [name for name in BASELINES if applies(name, shape)]

    assert names(8, 12) == list(BASELINES)
    assert names(8, 6) == ["class-gaussian", "class-means", "blurred-2"]
    assert names(8, 7) == names(7, 8) == ["class-gaussian", "class-means"]


def test_manifests_tell_images_apart() -> None:
    """Those of another baseline, number or training set are others; the same are the same."""
    made = [
        baseline_images(name, split_of(seed=seed), images=images).images.manifest
        for name in BASELINES
        for seed in (0, 1)
        for images in (20, 24)
    ]
    # The means of all classes are the same, however often they are repeated.
    assert len(set(made)) == len(made) - 2
    again = baseline_images("class-gaussian", split_of(), images=20).images.manifest
    assert again == made[0]


def test_a_large_class_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit takes so many images of a class, at random."""
    read: list[Tensor] = []
    split = split_of()

    def images(of: InMemorySplit, index: Tensor) -> Tensor:
        read.append(index)
        return of.all_images[index]

    monkeypatch.setattr(baselines, "_CLASS_IMAGES", 12)
    monkeypatch.setattr(InMemorySplit, "images", images)
    baseline_images("class-gaussian", split, images=60).images.images(torch.arange(60))
    assert [len(index) for index in read] == [12, 10, 12]
    assert split.all_labels is not None
    for k, index in enumerate(read):
        assert split.all_labels[index].tolist() == [k] * len(index)
    first = (split.all_labels == 0).nonzero()[:12, 0]
    assert not torch.equal(read[0], first)


def test_one_image_and_one_of_a_class() -> None:
    """A Gaussian of one image is that image."""
    images = torch.arange(8, dtype=torch.uint8).view(2, 1, 2, 2)
    split = InMemorySplit(
        all_images=images, all_labels=torch.tensor([0, 1]), class_names=("a", "b")
    )
    drawn, _ = all_of("class-gaussian", split, 4)
    assert torch.equal(drawn, images[[0, 0, 1, 1]])
