"""Sentences about scores appear where the numbers say so, and nowhere else."""

from typing import Any

import attrs
import pytest
from measures import measure_of

from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.verdicts import headline, misleading, verdicts
from dddm.interfaces.measurement import Baseline, Floor
from dddm_scores import (
    AUTHENTICITY,
    DENSITY_COVERAGE,
    DISTINCT_NEAREST,
    DIVERSITY,
    PRECISION_RECALL,
    SPREAD,
)

EVERY = (
    *PRECISION_RECALL,
    *DENSITY_COVERAGE,
    *AUTHENTICITY,
    *DISTINCT_NEAREST.measures,
    *DIVERSITY.measures,
    *SPREAD.measures,
)
MEASURES = {one.name: one for one in EVERY}


def score(
    name: str,
    value: float,
    *,
    gaussian: float | None = None,
    held_out: float | None = None,
    **changes: Any,
) -> ScoreRecord:
    floors = () if held_out is None else (Floor(name="held-out", value=held_out, images=90),)
    baselines = [Baseline(name="class-means", words="means", value=0.0, images=100)]
    if gaussian is not None:
        words = "a Gaussian for each class"
        baselines.append(Baseline(name="class-gaussian", words=words, value=gaussian, images=100))
    made = ScoreRecord(
        measure=MEASURES.get(name) or measure_of(name),
        name=f"{name}-pixels@100",
        value=value,
        sampler="annealed",
        steps=2,
        images=100,
        reference_images=1500,
        floors=floors,
        baselines=tuple(baselines),
        provenance={"features": {"id": "dddm:pixels"}},
    )
    return attrs.evolve(made, **changes)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fd", 19.3, True),
        ("fd", 19.2, True),
        ("fd", 19.1, False),
        ("is", 19.1, True),
        ("is", 19.2, True),
        ("is", 19.3, False),
        ("precision", 0.5, True),
        ("density", 0.5, True),
        ("recall", 1.0, False),
        ("coverage", 1.0, False),
        ("authenticity", 1.0, False),
        ("nearest", 30.0, False),
    ],
)
def test_not_better_than_a_gaussian(name: str, value: float, *, said: bool) -> None:
    """In the direction of the measure; diversity and checks say nothing about objects anyway."""
    found = list(verdicts([score(name, value, gaussian=19.2)]))
    assert bool(found) == said
    if said:
        assert found[0].startswith(f"{name}-pixels@100 shows nothing about objects")
        assert "a Gaussian for each class reaches 19.2" in found[0]
        assert found[0].endswith(f": {value:g} (annealed, 2 steps)")


def test_without_a_gaussian_nothing_is_said() -> None:
    assert not list(verdicts([score("fd", 1e9)]))


def test_all_sets_of_one_score_share_a_sentence() -> None:
    """Of those that are better nothing is said; values are those of the file."""
    of_kid = [
        score("kid", value, gaussian=0.02, steps=steps, evaluations=steps)
        for steps, value in ((1, 0.03), (2, 0.01), (10, 0.025))
    ]
    (sentence,) = verdicts(of_kid)
    assert "reaches 0.02," in sentence
    assert sentence.endswith("0.03 (annealed, 1 step), 0.025 (annealed, 10 steps)")


@pytest.mark.parametrize(
    ("precision", "recall", "said"),
    [(0.7, 0.05, True), (0.56, 0.12, True), (0.7, 0.13, False), (0.55, 0.05, False)],
)
def test_high_precision_with_little_recall(precision: float, recall: float, *, said: bool) -> None:
    """At least 0.8 of what held-out images reach, with at most 0.2 of theirs."""
    scores = [score("precision", precision, held_out=0.7), score("recall", recall, held_out=0.6)]
    found = list(verdicts(scores))
    assert bool(found) == said
    if said:
        assert found[0].startswith("in pixels, samples look like training images")
        assert "held-out images 0.70 and 0.60)" in found[0]
        said_of_set = f"precision {precision:.2f} with recall {recall:.2f} (annealed, 2 steps)"
        assert found[0].endswith(f": {said_of_set}")
        assert found[1] == (
            "samples that collapse or copy gain in precision, which is not ranked here: "
            "annealed, 2 steps"
        )
    assert misleading(scores) == scores[:1] * said
    other_set = [scores[0], attrs.evolve(scores[1], steps=3)]
    assert not list(verdicts(other_set))


@pytest.mark.parametrize(("precision", "said"), [(0.8, True), (0.79, False)])
def test_without_held_out_images_real_ones_are_taken_to_reach_one(
    precision: float, *, said: bool
) -> None:
    found = list(verdicts([score("precision", precision), score("recall", 0.2)]))
    assert bool(found) == said
    if said:
        assert "few of them (collapse): precision 0.80 with recall 0.20" in found[0]


@pytest.mark.parametrize(
    "shows",
    [
        score("nearest", 1.0, held_out=2.0),
        score("diversity", 0.4),
        score("distinct-nearest", 0.1, held_out=0.8),
    ],
)
def test_what_is_misleading(shows: ScoreRecord) -> None:
    """Precision and density of the same samples in any features, and nothing else."""
    names = ("precision", "recall", "density", "coverage")
    same = [score(name, 0.5) for name in names]
    features = {"features": {"id": "dddm:inception"}}
    more = [attrs.evolve(same[0], images=50), attrs.evolve(same[2], provenance=features)]
    others = [
        attrs.evolve(same[0], steps=3),
        attrs.evolve(same[0], sampler="fixed-time"),
        attrs.evolve(same[0], provenance={"samples": {"sha256": "0"}}),
    ]
    found = misleading([*others, *same, shows, *more])
    assert found == [same[0], same[2], *more]
    assert misleading([*others, *same, *more]) == []


@pytest.mark.parametrize(("share", "said"), [(0.3, True), (0.4, True), (0.41, False)])
def test_few_distinct_images(share: float, *, said: bool) -> None:
    """Compared at the number of held-out images, not at all samples."""
    floor = Floor(name="held-out", value=0.8, images=100, generated_value=share)
    found = list(verdicts([score("distinct-nearest", 0.01, floors=(floor,))]))
    assert bool(found) == said
    if said:
        assert "100 held-out images are nearest to 80 distinct training images" in found[0]
        assert found[0].endswith(f"as many samples to {round(100 * share)} (annealed, 2 steps)")


@pytest.mark.parametrize(("value", "said"), [(1.0, True), (1.01, False), (9.0, False)])
def test_copies(value: float, *, said: bool) -> None:
    found = list(verdicts([score("nearest", value, held_out=2.0)]))
    assert ["near copies" in one for one in found] == [True] * said


def test_samples_of_a_class_that_are_too_alike() -> None:
    """Those that are at most half as much apart as real ones, in one sentence."""
    values = {"diversity": 0.4, "mean-spread": 0.5, "edges-spread": 0.51}
    (sentence,) = verdicts([score(name, value) for name, value in values.items()])
    said = "as real ones: diversity 0.40, spread of brightness 0.50 (annealed, 2 steps)"
    assert sentence.endswith(said)


def test_sets_in_which_the_same_is_found_share_a_sentence() -> None:
    few, many = (score("diversity", 0.1 * k, steps=k, evaluations=k) for k in (1, 3))
    (sentence,) = verdicts([few, many])
    assert sentence.endswith(
        "diversity 0.10 (annealed, 1 step); diversity 0.30 (annealed, 3 steps)"
    )
    assert len(list(verdicts([few, attrs.evolve(many, images=50)]))) == 1


def test_the_headline_is_the_best_score_and_what_real_images_reach() -> None:
    """In the direction of the first measure that has one; steps and sampler are named."""
    of_fd = [
        score("fd", value, held_out=0.74, gaussian=19.2, steps=steps, evaluations=steps)
        for steps, value in ((1, 3.0), (2, 1.0), (10, 2.0))
    ]
    said = "Fréchet distance in pixels: 1 at best (annealed, 2 steps); held-out images reach 0.74"
    assert headline([score("nearest", 5.0, held_out=2.0), *of_fd]) == said
    assert (
        headline(of_fd[:1])
        == "Fréchet distance in pixels: 3 (annealed, 1 step); held-out images reach 0.74"
    )
    best_precision = headline([score("precision", 0.5), score("precision", 0.7, steps=9)])
    assert best_precision is not None
    assert best_precision.endswith(": 0.7 at best (annealed, 9 steps (2 evaluations))")
    fewer = Floor(name="held-out", value=0.74, images=90, generated_value=1.5)
    said = "held-out images reach 0.74, as many samples 1.5"
    assert said in str(headline([score("fd", 1.0, floors=(fewer,))]))
    resample = (Floor(name="resample", value=0.28, images=100),)
    said = "a resample of the training images reaches 0.28"
    assert said in str(headline([score("fd", 1.0, floors=resample)]))
    assert headline([]) is None
    assert headline([score("diversity", 0.9), score("nearest", 3.0)]) is None


def test_the_headline_says_what_speaks_against_the_best_samples() -> None:
    """Of the samples that have the best score alone, in whatever features it was found."""
    best, other = score("fd", 19.3, gaussian=19.2), score("fd", 30.0, gaussian=19.2, steps=9)
    copies = score("nearest", 0.1, held_out=2.0, provenance={"features": {"id": "dddm:other"}})
    said = "; the samples are not better than a Gaussian for each class, made without a network"
    assert str(headline([best, other])).endswith(said)
    assert str(headline([best, other, copies])).endswith(
        f"{said}, and are near copies of training images"
    )
    assert str(headline([best, other, attrs.evolve(copies, steps=9)])).endswith(said)
    alike = [score("fd", 1.0), score("diversity", 0.1), score("precision", 0.7, held_out=0.7)]
    alike.append(score("recall", 0.01, held_out=0.7))
    said = "; the samples are like few of the training images (collapse), and are too alike within"
    assert f"{said} a class" in str(headline(alike))


def test_what_a_collapse_makes_good_is_no_headline() -> None:
    """Precision of the collapsed samples is not the best one, however high."""
    collapsed = [score("precision", 0.9, held_out=0.7), score("recall", 0.01, held_out=0.7)]
    fair = [attrs.evolve(one, steps=9, value=0.6, floors=()) for one in collapsed]
    assert str(headline([*collapsed, *fair])).startswith("Precision in pixels: 0.6 (")
    assert "(collapse)" in str(headline(collapsed))


def test_what_training_compares_in_is_no_headline() -> None:
    """Scores in other features are; where there are none, it is said."""
    own = score("fd", 0.1, provenance={"features": {"id": "dddm:pixels"}, "trained_the_loss": True})
    assert "is no measure of the samples" in str(headline([own]))
    free = attrs.evolve(score("fd", 5.0, steps=9), name="fd-other@100")
    assert str(headline([own, free])).startswith("Fréchet distance in pixels: 5 (")
