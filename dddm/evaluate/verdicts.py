"""What scores mean in words, beside those of real images and of baselines.  Imports no torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.measurement import CLASS_GAUSSIAN
from dddm.support.quantities import counted_steps

HELD_OUT: Final = "held-out"
_NEARLY: Final = 0.8
_HALF: Final = 0.5
_LITTLE: Final = 0.2
"""Shares of what held-out images reach, as limits of sentences."""


def verdicts(scores: Iterable[ScoreRecord]) -> Iterator[str]:
    """Sentences, without a full stop, on scores that do not show what they seem to show."""
    by_name: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_name.setdefault(score.name, []).append(score)
    for same_name in by_name.values():
        yield from _against_gaussian(same_name)
    sets: dict[tuple[str, str, int], dict[str, ScoreRecord]] = {}
    for same_name in by_name.values():
        for score in same_name:
            one_set = sets.setdefault((_set_of(score), score.features, score.images), {})
            one_set[score.measure.name] = score
    # What is found of several sets is one sentence, with the numbers of each.
    sentences: dict[tuple[str, str], list[str]] = {}
    for (title, features, _), found in sets.items():
        for what, numbers in (
            *_collapse(found),
            *_repeats(found),
            *_too_alike(found),
            *_copies(found),
        ):
            sentences.setdefault((features, what), []).append(f"{numbers} ({title})")
    for (features, what), of_sets in sentences.items():
        yield f"in {features}, {what} {'; '.join(of_sets)}"


def _collapse(found: Mapping[str, ScoreRecord]) -> Iterator[tuple[str, str]]:
    """Samples like training images, but like few of them."""
    precision, recall = found.get("precision"), found.get("recall")
    if precision is None or recall is None:
        return
    real_precision, real_recall = precision.floor(HELD_OUT), recall.floor(HELD_OUT)
    if (
        real_precision is not None
        and real_recall is not None
        and precision.value >= _NEARLY * real_precision.value
        and recall.value <= _LITTLE * real_recall.value
    ):
        yield (
            (
                "samples look like training images, but like few of them (collapse; precision "
                f"and recall of held-out images {real_precision.value:.2f} and "
                f"{real_recall.value:.2f}):"
            ),
            f"precision {precision.value:.2f} with recall {recall.value:.2f}",
        )


def _repeats(found: Mapping[str, ScoreRecord]) -> Iterator[tuple[str, str]]:
    distinct = found.get("distinct-nearest")
    real = None if distinct is None else distinct.floor(HELD_OUT)
    if distinct is None or real is None:
        return
    value = distinct.value if real.generated_value is None else real.generated_value
    if value <= _HALF * real.value:
        yield (
            (
                f"samples repeat themselves: {real.images:,} held-out images are nearest to "
                f"{round(real.value * real.images):,} distinct training images, as many samples to"
            ),
            f"{round(value * real.images):,}",
        )


def _too_alike(found: Mapping[str, ScoreRecord]) -> Iterator[tuple[str, str]]:
    alike = [
        f"{score.measure.words.lower()} {score.value:.2f}"
        for name, score in found.items()
        if (name == "diversity" or name.endswith("-spread")) and score.value <= _HALF
    ]
    if alike:
        yield "samples of a class differ less than half as much as real ones:", ", ".join(alike)


def _copies(found: Mapping[str, ScoreRecord]) -> Iterator[tuple[str, str]]:
    nearest = found.get("nearest")
    real = None if nearest is None else nearest.floor(HELD_OUT)
    if nearest is not None and real is not None and nearest.value <= _HALF * real.value:
        yield (
            (
                "samples are near copies of training images: the nearest of these is at "
                f"{real.value:.3g} from held-out images (median), and from samples at"
            ),
            f"{nearest.value:.3g}",
        )


def _against_gaussian(scores: Sequence[ScoreRecord]) -> Iterator[str]:
    """One sentence on all scores of one name that are not better than the Gaussian's."""
    measure = scores[0].measure
    baseline = next((one for s in scores if (one := s.baseline(CLASS_GAUSSIAN)) is not None), None)
    if baseline is None or not measure.fidelity:
        return
    worse = [
        f"{score.value:.3g} ({_set_of(score)})"
        for score in scores
        if measure.best([score.value, baseline.value]) == baseline.value
    ]
    if worse:
        yield (
            f"{scores[0].name} shows nothing about objects: {baseline.words} reaches "
            f"{baseline.value:.3g}, without a network, and these samples are not "
            f"better: {', '.join(worse)}"
        )


def _set_of(score: ScoreRecord) -> str:
    steps = counted_steps(score.steps, score.evaluations) if score.steps else ""
    return f"{score.sampler}, {steps}" if steps else score.sampler
