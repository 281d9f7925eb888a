"""The classifier's two ends fit."""

import torch

from dddm_features.digits_network import CLASSES, FEATURES, DigitsNetwork


def test_logits_are_made_of_the_features() -> None:
    """The head sees exactly what `features` returns, and that is never negative."""
    network = DigitsNetwork().eval()
    images = torch.randn(3, 1, 8, 8)
    vectors = network.features(images)
    assert vectors.shape == (3, FEATURES)
    assert (vectors >= 0).all()
    assert torch.equal(network(images), network.head(vectors))
    assert network(images).shape == (3, CLASSES)
