"""Which row belongs to which image."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dddm_stores.owned_rows import OwnedRows, name_indices

IMAGES = 40
index_sets = st.sets(st.integers(0, IMAGES - 1)).map(sorted)


@given(index_sets, st.lists(st.integers(-2, IMAGES + 2), max_size=6))
def test_rows_are_positions_among_the_owned(owned: list[int], asked: list[int]) -> None:
    """Row k is the k-th owned image's; any other image is refused, by its index."""
    rows = OwnedRows(torch.tensor(owned, dtype=torch.int64), images=IMAGES)
    index = torch.tensor(asked, dtype=torch.int64)
    foreign = [k for k in asked if k not in owned]
    if foreign:
        with pytest.raises(ValueError, match=rf"does not hold images {foreign[0]}\b"):
            rows.rows_of(index)
    else:
        assert rows.rows_of(index).tolist() == [owned.index(k) for k in asked]


@pytest.mark.parametrize("owned", [[2, 1], [1, 1], [-1, 0], [39, 40]])
def test_owned_indices_must_ascend_within_the_data_set(owned: list[int]) -> None:
    """Indices that fall, repeat or do not exist are refused."""
    with pytest.raises(ValueError, match="ascend, in 0…39"):
        OwnedRows(torch.tensor(owned), images=IMAGES)


def test_owned_indices_are_copied() -> None:
    """A caller that changes its tensor afterwards does not change the table."""
    owned = torch.tensor([1, 2])
    rows = OwnedRows(owned, images=IMAGES)
    owned.zero_()
    assert rows.rows_of(torch.tensor([1, 2])).tolist() == [0, 1]


def test_a_message_names_the_first_few() -> None:
    """Thousands of indices do not fill the screen."""
    assert name_indices(torch.arange(3)) == "0, 1, 2"
    assert name_indices(torch.arange(1000)) == "0, 1, 2, 3, 4, 5, 6, 7, …"
