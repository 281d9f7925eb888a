"""Nearest distances are exact, in blocks, and copies are found."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm_scores.nearest import close_share, nearest_distances


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    counts=st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 6)),
    block=st.integers(1, 25),
)
def test_equals_the_definition(seed: int, counts: tuple[int, int, int], block: int) -> None:
    """Whatever the block size, it is the least of all distances."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(counts[0], counts[2], generator=generator)
    reference = torch.randn(counts[1], counts[2], generator=generator)
    found = nearest_distances(query=query, reference=reference, block=block)
    every = (query.double()[:, None] - reference.double()[None]).square().sum(-1).sqrt()
    torch.testing.assert_close(found, every.min(dim=1).values, rtol=1e-12, atol=0)


def test_a_copy_is_at_distance_zero_exactly() -> None:
    """Far from the origin too, where the fast formula would lose it."""
    reference = torch.randn(50, 8) + 1000
    assert torch.equal(
        nearest_distances(query=reference[::5], reference=reference),
        torch.zeros(10, dtype=torch.float64),
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_few_held_out_images_are_close_to_training(seed: int) -> None:
    """By its definition, about 1 % of the held-out images themselves are close."""
    generator = torch.Generator().manual_seed(seed)
    held_out = torch.rand(1000, generator=generator, dtype=torch.float64)
    assert close_share(generated_N=held_out, held_out_N=held_out) == pytest.approx(0.01, abs=0.001)


def test_copies_and_unrelated_images() -> None:
    """Copies are all close; images farther off than any held-out one are not."""
    held_out = torch.linspace(1, 2, 101, dtype=torch.float64)
    copies = torch.zeros(10, dtype=torch.float64)
    assert close_share(generated_N=copies, held_out_N=held_out) == 1
    assert close_share(generated_N=copies + 3, held_out_N=held_out) == 0
