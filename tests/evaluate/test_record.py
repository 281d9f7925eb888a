"""Scores survive being written and read."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measures import FD, NEAREST, measure_of

from dddm.errors import DataError
from dddm.evaluate.record import ScoreRecord, read_scores, scores_to_text
from dddm.interfaces.measurement import Floor

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FLOORS = st.builds(
    Floor,
    name=st.sampled_from(["resample", "held-out"]),
    value=NUMBERS,
    images=st.integers(2, 10**6),
    generated_value=st.none() | NUMBERS,
)
SCORES = st.builds(
    ScoreRecord,
    measure=st.sampled_from([FD, NEAREST]),
    name=st.text(),
    value=NUMBERS,
    sampler=st.text(),
    steps=st.integers(1, 1000),
    images=st.integers(1, 10**6),
    reference_images=st.integers(1, 10**6),
    floors=st.lists(FLOORS, max_size=2).map(tuple),
    details=st.dictionaries(st.text(), NUMBERS, max_size=3),
    provenance=st.dictionaries(st.text(), st.text() | st.integers(), max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(scores=st.lists(SCORES, max_size=3))
def test_round_trip(scores: list[ScoreRecord]) -> None:
    """What is written to JSON is read back equal, to the last bit."""
    plain = json.loads(scores_to_text(scores))
    assert [ScoreRecord.from_json(values) for values in plain] == scores


def test_no_file_no_scores(tmp_path: Path) -> None:
    """A run that was not scored has none."""
    assert read_scores(tmp_path / "scores.json") == ()


@pytest.mark.parametrize(
    "text",
    [
        "[{",
        "[1]",
        "{}x",
        '[{"measure": {"name": "fd"}}]',
        '[{"measure": {"better": "least"}}]',
        '[{"floors": [3]}]',
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the file and how to make it anew."""
    path = tmp_path / "scores.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read") as caught:
        read_scores(path)
    assert caught.value.where == str(path)
    assert "dddm evaluate" in str(caught.value.remedy)


def test_a_value_that_is_not_finite_is_not_written() -> None:
    """JSON has no such number, and no score is one."""
    score = ScoreRecord(
        measure=measure_of("fd"),
        name="fd-pixels@2",
        value=float("nan"),
        sampler="annealed",
        steps=1,
        images=2,
        reference_images=2,
        floors=(),
    )
    with pytest.raises(ValueError, match="JSON"):
        scores_to_text([score])
