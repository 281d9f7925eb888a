"""Random numbers that depend on what they are for, and on nothing else."""

import math
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm.support import noise as noise_module
from dddm.support.noise import generator_for, noise_by_index, seed_for

SHAPE = (1, 2, 3)
seeds = st.integers(0, 2**63 - 1)
indices = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5)


def noise(seed: int, purpose: str, index: list[int]) -> torch.Tensor:
    """Noise for a list of indices."""
    return noise_by_index(seed=seed, purpose=purpose, index=torch.tensor(index), shape=SHAPE)


@given(seeds, indices)
def test_a_row_depends_on_its_index_alone(seed: int, index: list[int]) -> None:
    """A row is the same alone, in any order and beside any others."""
    together = noise(seed, "store", index)
    for row, k in zip(together, index, strict=True):
        assert torch.equal(noise(seed, "store", [k])[0], row)
    assert torch.equal(noise(seed, "store", index[::-1]), together.flip(0))


def shared(a: torch.Tensor, b: torch.Tensor) -> int:
    """How many numbers of `a` stand in `b` too; one may do so by chance, in 2²³ or so."""
    return len(set(a.flatten().tolist()) & set(b.flatten().tolist()))


@given(seeds, st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=5, unique=True))
def test_indices_share_no_numbers(seed: int, index: list[int]) -> None:
    """Two rows are neither equal nor shifted copies of each other."""
    rows = noise(seed, "store", index)
    for k, row in enumerate(rows):
        assert shared(row, rows[k + 1 :]) <= 1


@given(seeds, indices)
def test_purposes_and_seeds_share_no_numbers(seed: int, index: list[int]) -> None:
    """The store's noise is not the sampler's, and another seed gives another noise."""
    store = noise(seed, "store", index)
    assert shared(store, noise(seed, "x_T", index)) <= 1
    assert shared(store, noise(seed + 1, "store", index)) <= 1


def test_noise_is_standard_normal_and_uncorrelated() -> None:
    """Moments, tails and correlations of a million numbers are those of N(0, I)."""
    rows = noise_by_index(
        seed=0, purpose="store", index=torch.arange(10_000), shape=(100,)
    ).double()
    assert abs(rows.mean()) < 5 / 1000
    assert abs(rows.square().mean() - 1) < 5 * math.sqrt(2) / 1000
    assert abs(rows.pow(3).mean()) < 5 * math.sqrt(15) / 1000
    assert abs(rows.pow(4).mean() - 3) < 5 * math.sqrt(96) / 1000
    assert (rows.abs() > 1.959964).double().mean() == pytest.approx(0.05, abs=0.0011)
    assert abs((rows[1:] * rows[:-1]).mean()) < 5 / 1000
    assert abs((rows[:, 1:] * rows[:, :-1]).mean()) < 5 / 1000


def test_numbers_are_those_of_earlier_versions() -> None:
    """A resumed run or a repeated sample meets the same noise after an update of numpy or of us."""
    found = noise_by_index(seed=0, purpose="store", index=torch.tensor([0, 7]), shape=(2,))
    expected = torch.tensor([[-0.815537632, 0.776409268], [0.329853803, -0.158236563]])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    assert seed_for("train", 0, 1, 2) == 1864753494143488205


@pytest.mark.parametrize("threads", [1, 3])
def test_a_row_is_that_of_its_own_generator(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """One of numpy's for each row, made with its key, whichever thread fills it."""
    monkeypatch.setattr("dddm.support.noise._THREADS", threads)
    index, key = [5, 0, 2**62, 7, 5, 1, 2], seed_for("noise", 3, "store")
    shape = (3, 128, 128)
    found = noise_by_index(seed=3, purpose="store", index=torch.tensor(index), shape=shape)
    for row, k in zip(found, index, strict=True):
        bits = np.random.Philox(key=np.array([key, k], dtype=np.uint64))
        own = np.random.Generator(bits).standard_normal(shape, dtype=np.float32)
        assert torch.equal(row, torch.from_numpy(own))


def test_large_tables_are_filled_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones by the caller, which would wait longer for a thread to start."""
    filled: list[str] = []
    fill = noise_module._fill

    def watched(*args: Any, **more: Any) -> None:
        filled.append(threading.current_thread().name)
        fill(*args, **more)

    monkeypatch.setattr(noise_module, "_THREADS", 4)
    monkeypatch.setattr(noise_module, "_fill", watched)
    here = threading.current_thread().name
    noise(0, "store", [1, 2, 3])
    assert filled == [here]
    noise_by_index(seed=0, purpose="store", index=torch.arange(300), shape=(3, 32, 32))
    assert len(filled) == 1 + 4
    assert here not in filled[1:]


def test_global_random_state_is_neither_read_nor_changed() -> None:
    """Noise does not depend on how often others drew, nor others on it."""
    torch.manual_seed(1)
    first, after = noise(0, "store", [5]), torch.rand(3)
    torch.manual_seed(1)
    torch.rand(0)
    assert torch.equal(torch.rand(3), after)
    assert torch.equal(noise(0, "store", [5]), first)


@given(st.lists(st.integers() | st.text(), min_size=1, max_size=4), st.data())
def test_seeds_differ_where_purposes_do(parts: list[int | str], data: st.DataObject) -> None:
    """A seed fits 64 bits, is the same for the same parts, and another for others."""
    others = data.draw(st.lists(st.integers() | st.text(), min_size=1, max_size=4))
    assert 0 <= seed_for(*parts) < 2**64
    assert seed_for("a", "b") != seed_for("ab")
    assert seed_for(1) != seed_for("1")
    assert (seed_for(*parts) == seed_for(*others)) == (parts == others)


def test_generators_for_the_same_purpose_agree() -> None:
    """Two generators for one purpose draw the same, those for two purposes do not."""
    first = torch.rand(4, generator=generator_for("train", 0, 1))
    assert torch.equal(torch.rand(4, generator=generator_for("train", 0, 1)), first)
    assert not torch.equal(torch.rand(4, generator=generator_for("train", 0, 2)), first)
