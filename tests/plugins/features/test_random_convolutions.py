"""Features of fixed random convolutions: the formula, what they see, and what they do not know."""

from itertools import product

import pytest
import torch
from torch import Tensor

from dddm.evaluate.baselines import gaussian_draws
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import NoOptions
from dddm.support.moments import statistics_of
from dddm_features.random_convolutions import RandomConvolutions, random_weight
from dddm_scores.fidelity import frechet_distance


def by_loops(image_CHW: Tensor, *, layers: int) -> list[float]:
    """The features of one image, number by number."""
    h = image_CHW.double()
    for layer in range(layers):
        weight = random_weight(layer, inputs=len(h)).double()
        stride = 2 if layer else 1
        height, width = (-(-side // stride) for side in h.shape[1:])
        out = torch.zeros(len(weight), height, width, dtype=torch.float64)
        for k, y, x in product(range(len(weight)), range(height), range(width)):
            for dy, dx in product((-1, 0, 1), repeat=2):
                row, column = stride * y + dy, stride * x + dx
                if 0 <= row < h.shape[1] and 0 <= column < h.shape[2]:
                    out[k, y, x] += weight[k, :, dy + 1, dx + 1] @ h[:, row, column]
        h = out.clamp_min(0)
    return [float(one.sum() / one.numel()) for one in h]


@pytest.mark.parametrize(("side", "layers"), [(3, 2), (8, 2), (14, 2), (16, 3)])
def test_each_number_is_that_of_the_formula(side: int, layers: int) -> None:
    """Small images have one layer of each width, larger ones as many as make them small."""
    images = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    found = RandomConvolutions(NoOptions()).extract(images)
    expected = [by_loops(image / 127.5 - 1, layers=layers) for image in images]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_weights_are_fixed_and_scaled() -> None:
    """The same in every process and for every seed of torch's; other ones in each layer."""
    torch.manual_seed(1)
    weight = random_weight(2, inputs=64)
    torch.manual_seed(2)
    assert torch.equal(weight, random_weight(2, inputs=64))
    assert not torch.equal(weight, random_weight(1, inputs=64))
    assert weight.shape == (64, 64, 3, 3)
    assert float(weight.std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


def test_a_gaussian_does_not_pass() -> None:
    """Draws with the images' own mean and covariance, which pixels cannot tell from images."""
    rows = torch.arange(16.0)[:, None]
    place_N2 = 4 + 8 * torch.rand(400, 2, generator=torch.Generator().manual_seed(0))
    distance = (rows - place_N2[:, 0, None, None]) ** 2 + (rows.T - place_N2[:, 1, None, None]) ** 2
    spot_NCHW = torch.where(distance < 9, 1.0, -1.0)[:, None]
    noise = torch.randn(200, 200, generator=torch.Generator().manual_seed(1))
    drawn = gaussian_draws(spot_NCHW[:200].flatten(1), noise).view(200, 1, 16, 16)
    features = RandomConvolutions(NoOptions())
    one, other, fake = (
        statistics_of(features.embed(x)) for x in (spot_NCHW[:200], spot_NCHW[200:], drawn)
    )
    assert frechet_distance(one, fake) > 20 * frechet_distance(one, other)


def test_nothing_was_trained() -> None:
    """So no loss is related to them; images of any size fit, grey or coloured."""
    features = RandomConvolutions(NoOptions())
    assert features.trained_on is None
    features.check_shape(ImageShape(channels=1, height=5, width=70))
    assert features.extract(torch.zeros(2, 1, 5, 70, dtype=torch.uint8)).shape == (2, 64)
