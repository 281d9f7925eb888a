"""The split takes its share of every class and of every stretch of the order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dddm.support.splits import hold_out_evenly

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=200)


@settings(max_examples=100, deadline=None)
@given(labels=LABELS, data=st.data())
def test_every_image_is_in_exactly_one_part(labels: list[int], data: st.DataObject) -> None:
    """Training and held-out indices are ascending, disjoint and together complete."""
    count = data.draw(st.integers(0, len(labels)))
    train, held_out = hold_out_evenly(np.array(labels), count=count)
    assert len(held_out) == count
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(held_out) > 0)
    assert sorted([*train, *held_out]) == list(range(len(labels)))


@settings(max_examples=100, deadline=None)
@given(labels=LABELS, data=st.data())
def test_every_class_gives_its_share(labels: list[int], data: st.DataObject) -> None:
    """A class is held out in its own share, to within one image."""
    count = data.draw(st.integers(0, len(labels)))
    _, held_out = hold_out_evenly(np.array(labels), count=count)
    share = count / len(labels)
    for label in set(labels):
        held = sum(labels[k] == label for k in held_out)
        assert abs(held - share * labels.count(label)) <= 1 + 1e-9


def test_every_stretch_gives_its_share() -> None:
    """In one class, of any 60 neighbours 10 are held out where 100 of 600 are."""
    _, held_out = hold_out_evenly(np.zeros(600, dtype=np.int64), count=100)
    for start in range(0, 600, 60):
        assert np.sum((held_out >= start) & (held_out < start + 60)) == 10
