"""Precision, recall and their kin equal a plainly right computation, and torch-fidelity's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.support.torchvision_operators import import_torchvision
from dddm_scores import neighbourhoods
from dddm_scores.neighbourhoods import compare_neighbourhoods, neighbourhoods_of


def features(seed: int, count: int, *, dimensions: int = 6, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, dimensions, generator=generator)


def scores(generated: torch.Tensor, real: torch.Tensor, k: int = 3) -> dict[str, float]:
    found = compare_neighbourhoods(
        neighbourhoods_of(generated, neighbours=k),
        neighbourhoods_of(real, neighbours=k),
        neighbours=k,
    )
    names = ("precision", "recall", "density", "coverage", "authenticity")
    return {name: getattr(found, name) for name in names}


def by_hand(generated: torch.Tensor, real: torch.Tensor, k: int) -> dict[str, float]:
    """Every distance by numpy, every ball by a loop."""
    x, y = generated.double().numpy(), real.double().numpy()

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()))

    def reach(points: np.ndarray, i: int, nth: int) -> float:
        others = [apart(points[i], points[j]) for j in range(len(points)) if j != i]
        return sorted(others)[nth - 1]

    real_reach = [reach(y, j, k) for j in range(len(y))]
    own_reach = [reach(x, i, k) for i in range(len(x))]
    inside = [[apart(a, b) <= real_reach[j] for j, b in enumerate(y)] for a in x]
    inverse = [[apart(a, b) <= own_reach[i] for i, a in enumerate(x)] for b in y]
    authentic = 0
    for a in x:
        distances = [apart(a, b) for b in y]
        j = int(np.argmin(distances))
        authentic += distances[j] > reach(y, j, 1)
    return {
        "precision": sum(map(any, inside)) / len(x),
        "recall": sum(map(any, inverse)) / len(y),
        "density": sum(map(sum, inside)) / (k * len(x)),
        "coverage": sum(any(row[j] for row in inside) for j in range(len(y))) / len(y),
        "authenticity": authentic / len(x),
    }


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    counts=st.tuples(st.integers(6, 30), st.integers(6, 30)),
    k=st.integers(1, 5),
    scale=st.sampled_from([0.3, 1.0, 3.0]),
)
def test_equals_brute_force(seed: int, counts: tuple[int, int], k: int, scale: float) -> None:
    generated = features(seed, counts[0], scale=scale)
    real = features(seed + 1, counts[1])
    assert scores(generated, real, k) == pytest.approx(by_hand(generated, real, k))


@pytest.mark.parametrize("blocks", [(7, 5), (64, 3), (1, 1000)])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, blocks: tuple[int, int]) -> None:
    """Whatever the size of a block, also one with fewer columns than neighbours."""
    generated, real = features(0, 50), features(1, 40)
    whole = scores(generated, real)
    monkeypatch.setattr(neighbourhoods, "_ROWS", blocks[0])
    monkeypatch.setattr(neighbourhoods, "_COLUMNS", blocks[1])
    assert scores(generated, real) == whole


@pytest.mark.parametrize("dimensions", [3, 64, 2048])
def test_equals_torch_fidelity(dimensions: int) -> None:
    import_torchvision()
    from torch_fidelity.metric_prc import prc_features_to_metric

    generated = features(2, 300, dimensions=dimensions, scale=0.9)
    real = features(3, 400, dimensions=dimensions)
    theirs = prc_features_to_metric(generated.double(), real.double(), verbose=False)
    ours = scores(generated, real)
    assert ours["precision"] == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours["recall"] == pytest.approx(theirs["recall"], abs=1e-6)


def test_copies_are_not_authentic() -> None:
    """Copies of real images: precise and covering, and none of them authentic."""
    real = features(4, 200)
    found = scores(real.clone(), real)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert found["authenticity"] == 0


def test_what_is_far_off() -> None:
    """Images that look like nothing real: nothing precise, nothing covered, all authentic."""
    found = scores(features(5, 50) + 100, features(6, 60))
    assert (found["precision"], found["density"], found["coverage"]) == (0, 0, 0)
    assert found["authenticity"] == 1


def test_new_images_of_the_same_kind() -> None:
    """Density and coverage are near their expectations for equal distributions: 1 and 1 − ½ᵏ."""
    found = scores(features(7, 3000), features(8, 3000))
    assert found["density"] == pytest.approx(1.0, abs=0.05)
    assert found["coverage"] == pytest.approx(1 - 0.5**3, abs=0.03)


def test_too_few_images() -> None:
    with pytest.raises(ValueError, match="3 features"):
        neighbourhoods_of(features(0, 3))
