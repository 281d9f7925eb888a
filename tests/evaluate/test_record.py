"""Records of scores: written and read, merged, and averaged over seeds."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measures import FD, NEAREST, measure_of

from dddm.errors import DataError
from dddm.evaluate.record import (
    DEVIATION,
    FROM_RECIPE,
    ScoreRecord,
    mean_over_seeds,
    merge_scores,
    read_scores,
    scores_to_text,
)
from dddm.interfaces.measurement import Floor

WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]))
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
    name=WORDS,
    value=NUMBERS,
    sampler=WORDS,
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
        '[{"measure": {"better": "less"}, "value": 1, "sampler": "\\u001b[31m"}]',
        '[{"measure": {"better": "less", "words": "\\u202e"}, "value": 1}]',
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


def requested_score(value: float, *, requested_by: str | None = None, **about: Any) -> ScoreRecord:
    provenance: dict[str, Any] = {
        "features": {"id": about.get("features", "dddm:pixels")},
        "samples": {"sha256": about.get("sha256", "s")},
        "formula": {},
    }
    if requested_by is not None:
        provenance["requested_by"] = requested_by
    if "sets" in about:
        provenance["sets"] = [{"sha256": one} for one in about["sets"]]
    return ScoreRecord(
        measure=FD, name="fd", value=value, sampler="a", steps=about.get("steps", 1), images=2,
        reference_images=3, floors=(), provenance=provenance,
    )  # fmt: skip


def values(
    before: list[ScoreRecord], new: list[ScoreRecord], *, requested_by: str, samples: str = "s"
) -> list[Any]:
    found = merge_scores(before, new, requested_by=requested_by, samples=set(samples))
    return [one.value for one in found]


def test_a_preset_adds_and_replaces_its_own() -> None:
    """The recipe's and other presets' stay; the recipe's stand first."""
    recipe, other = (
        requested_score(1, requested_by=FROM_RECIPE),
        requested_score(2, requested_by="other", features="dddm:other"),
    )
    old = requested_score(3, requested_by="mine", features="dddm:mine", steps=5)
    new = requested_score(4, requested_by="mine", features="dddm:mine")
    assert values([recipe, other, old], [new], requested_by="mine") == [1, 2, 4]
    again = requested_score(5, requested_by=FROM_RECIPE)
    assert values([other, recipe], [again], requested_by=FROM_RECIPE) == [5, 2]


def test_scores_of_files_without_the_word_are_the_recipes() -> None:
    """As older files are; so the recipe's next scores replace them."""
    assert values(
        [requested_score(1)],
        [requested_score(2, requested_by=FROM_RECIPE)],
        requested_by=FROM_RECIPE,
    ) == [2]


def test_the_same_number_stands_once() -> None:
    """Where two ask for the same of the same images, the later answer stays."""
    before = requested_score(1, requested_by=FROM_RECIPE)
    assert values([before], [requested_score(1, requested_by="mine")], requested_by="mine") == [1]
    other_formula = requested_score(1.5, requested_by="mine")
    other_formula.provenance["formula"] = {"k": 5}
    assert values([before], [other_formula], requested_by="mine") == [1, 1.5]


def test_scores_of_samples_that_are_gone_go() -> None:
    """Also a mean over seeds, when one of its sets was drawn anew."""
    gone = requested_score(1, requested_by="mine", sha256="x")
    mean = requested_score(2, requested_by="mine", sets=["s", "x"])
    whole = requested_score(3, requested_by="mine", sets=["s", "t"])
    new = [requested_score(4, requested_by=FROM_RECIPE, steps=9)]
    assert values([gone, mean, whole], new, requested_by=FROM_RECIPE, samples="st") == [4, 3]


def seed_score(
    seed: int, value: float, *, steps: int = 1, name: str = "fd", **facts: Any
) -> ScoreRecord:
    return ScoreRecord(
        measure=measure_of(name),
        name=f"{name}-pixels@10",
        value=value,
        sampler="fixed-time",
        steps=steps,
        images=10,
        reference_images=100,
        floors=(Floor(name="held-out", value=0.5, images=5, generated_value=value + 1),),
        details={"deviation_over_subsets": value / 10},
        provenance={
            "samples": {"seed": seed, "sha256": str(seed) * 64, "weights": "ema", **facts},
            "formula": {"ddof": 1},
        },
    )


def test_mean_and_deviation() -> None:
    """Of values and details over three seeds; each set stands in the provenance."""
    (found,) = mean_over_seeds(
        [seed_score(0, 2.0, seconds=3), seed_score(1, 3.0, seconds=4), seed_score(2, 7.0)]
    )
    assert found.value == pytest.approx(4.0)
    assert found.details[DEVIATION] == pytest.approx(7**0.5)
    assert found.details["deviation_over_subsets"] == pytest.approx(0.4)
    assert found.floors[0].value == 0.5
    assert found.floors[0].generated_value == pytest.approx(5.0)
    assert [(one["seed"], one["value"]) for one in found.provenance["sets"]] == [
        (0, 2.0),
        (1, 3.0),
        (2, 7.0),
    ]


def test_what_differs_otherwise_stays_apart() -> None:
    """Other steps, measures, weights or options are other scores, in their order."""
    scores = [
        seed_score(0, 1.0),
        seed_score(1, 2.0, steps=2),
        seed_score(1, 3.0, name="kid"),
        seed_score(1, 4.0, weights="best ema"),
        seed_score(1, 5.0, sampler_options={"clamp": False}),
    ]
    assert mean_over_seeds(scores) == tuple(scores)
    assert mean_over_seeds([]) == ()


def test_a_set_that_was_drawn_twice_counts_once() -> None:
    """Two sets of one seed are no sample of seeds."""
    scores = (seed_score(0, 1.0), seed_score(0, 1.0))
    assert mean_over_seeds(scores) == scores


def test_warnings_cannot_move_the_cursor() -> None:
    score = seed_score(0, 1.0)
    score.provenance["warnings"] = ["\x1b[31mred"]
    assert score.warnings == ("\\u001b[31mred",)
