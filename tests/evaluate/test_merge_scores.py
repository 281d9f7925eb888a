"""No question loses its answer to another, and no answer outlives what it is about."""

from typing import Any

from measures import FD

from dddm.evaluate.merge_scores import RECIPE, merge_scores
from dddm.evaluate.record import ScoreRecord


def score(value: float, *, asked_by: str | None = None, **about: Any) -> ScoreRecord:
    """A score of the samples `sha256`, in `features`."""
    provenance: dict[str, Any] = {
        "features": {"id": about.get("features", "dddm:pixels")},
        "samples": {"sha256": about.get("sha256", "s")},
        "formula": {},
    }
    if asked_by is not None:
        provenance["asked_by"] = asked_by
    if "sets" in about:
        provenance["sets"] = [{"sha256": one} for one in about["sets"]]
    return ScoreRecord(
        measure=FD, name="fd", value=value, sampler="a", steps=about.get("steps", 1), images=2,
        reference_images=3, floors=(), provenance=provenance,
    )  # fmt: skip


def values(
    before: list[ScoreRecord], new: list[ScoreRecord], *, asked_by: str, samples: str = "s"
) -> list[Any]:
    """What is left, in order."""
    found = merge_scores(before, new, asked_by=asked_by, samples=set(samples))
    return [one.value for one in found]


def test_a_preset_adds_and_replaces_its_own() -> None:
    """The recipe's and other presets' stay; the recipe's stand first."""
    recipe, other = score(1, asked_by=RECIPE), score(2, asked_by="other", features="dddm:other")
    old = score(3, asked_by="mine", features="dddm:mine", steps=5)
    new = score(4, asked_by="mine", features="dddm:mine")
    assert values([recipe, other, old], [new], asked_by="mine") == [1, 2, 4]
    again = score(5, asked_by=RECIPE)
    assert values([other, recipe], [again], asked_by=RECIPE) == [5, 2]


def test_scores_of_files_without_the_word_are_the_recipes() -> None:
    """As older files are; so the recipe's next scores replace them."""
    assert values([score(1)], [score(2, asked_by=RECIPE)], asked_by=RECIPE) == [2]


def test_the_same_number_stands_once() -> None:
    """Where two ask for the same of the same images, the later answer stays."""
    before = score(1, asked_by=RECIPE)
    assert values([before], [score(1, asked_by="mine")], asked_by="mine") == [1]
    other_formula = score(1.5, asked_by="mine")
    other_formula.provenance["formula"] = {"k": 5}
    assert values([before], [other_formula], asked_by="mine") == [1, 1.5]


def test_scores_of_samples_that_are_gone_go() -> None:
    """Also a mean over seeds, when one of its sets was drawn anew."""
    gone = score(1, asked_by="mine", sha256="x")
    mean = score(2, asked_by="mine", sets=["s", "x"])
    whole = score(3, asked_by="mine", sets=["s", "t"])
    new = [score(4, asked_by=RECIPE, steps=9)]
    assert values([gone, mean, whole], new, asked_by=RECIPE, samples="st") == [4, 3]
