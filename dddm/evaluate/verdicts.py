"""What scores mean in words, beside those of real images and of baselines.  Imports no torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.info import Measure
from dddm.interfaces.measurement import CLASS_GAUSSIAN
from dddm.support.quantities import counted_steps

HELD_OUT: Final = "held-out"
_NEARLY: Final = 0.8
_HALF: Final = 0.5
_LITTLE: Final = 0.2
"""Shares of what held-out images reach, as limits of sentences."""
_GAIN: Final = ("precision", "density")
"""Measures that a collapse onto a few good images, or copies of training images, make best."""
_REAL: Final = (
    (HELD_OUT, "held-out images reach"),
    ("resample", "a resample of the training images reaches"),
    ("training", "training images reach"),
)


def headline(scores: Sequence[ScoreRecord]) -> str | None:
    """The best score, what real images reach, and what speaks against it: one sentence.

    It is without a full stop; None where nothing is measured that has a better value.
    """
    gained = misleading(scores)
    leading = sorted(
        (score for score in scores if _tells_of_quality(score.measure)),
        key=lambda score: score.trained_the_loss or score in gained,
    )
    same_name = [score for score in leading if score.name == leading[0].name]
    ranked = [one for one in same_name if not (one.trained_the_loss or one in gained)]
    candidates = ranked or same_name
    if not candidates:
        return None
    value = candidates[0].measure.best(score.value for score in candidates)
    best = next(score for score in candidates if score.value == value)
    at_best = " at best" if len(candidates) > 1 else ""
    said = f"{best.measure.words} in {best.features}: {best.value:.3g}{at_best} ({_set_of(best)})"
    real = ((best.floor(name), words) for name, words in _REAL)
    for floor, words in ((floor, words) for floor, words in real if floor is not None):
        own = floor.generated_value
        said += f"; {words} {floor.value:.3g}"
        said += "" if own is None else f", as many samples {own:.3g}"
        break
    if best.trained_the_loss:
        said += "; training compares in these features, so that it is no measure of the samples"
    against = list(_against(best, scores))
    return f"{said}; the samples {', and '.join(against)}" if against else said


def _tells_of_quality(measure: Measure) -> bool:
    return measure.better != "neither" and measure.fidelity


def _against(best: ScoreRecord, scores: Iterable[ScoreRecord]) -> Iterator[str]:
    """What is wrong with the samples that have the best score, in short."""
    gaussian = best.baseline(CLASS_GAUSSIAN)
    if gaussian is not None and list(_against_gaussian([best])):
        yield f"are not better than {gaussian.words}, made without a network"
    by_features: dict[str, dict[str, ScoreRecord]] = {}
    for score in scores:
        if (_set_of(score), score.images) == (_set_of(best), best.images):
            by_features.setdefault(score.features, {})[score.measure.name] = score
    for find, words in (
        (_collapse, "are like few of the training images (collapse)"),
        (_repeats, "repeat themselves"),
        (_too_alike, "are too alike within a class"),
        (_copies, "are near copies of training images"),
    ):
        if any(list(find(found)) for found in by_features.values()):
            yield words


def verdicts(scores: Iterable[ScoreRecord]) -> Iterator[str]:
    """Sentences, without a full stop, on scores that do not show what they seem to show."""
    scores = tuple(scores)
    by_name: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_name.setdefault(score.name, []).append(score)
    for same_name in by_name.values():
        yield from _against_gaussian(same_name)
    # What is found of several sets is one sentence, with the numbers of each.
    sentences: dict[tuple[str, str], list[str]] = {}
    for one_set in _sets(scores):
        first = next(iter(one_set.values()))
        for what, numbers in _found(one_set):
            found = sentences.setdefault((first.features, what), [])
            found.append(f"{numbers} ({_set_of(first)})")
    for (features, what), of_sets in sentences.items():
        yield f"in {features}, {what} {'; '.join(of_sets)}"
    gained = misleading(scores)
    if gained:
        names = " and ".join(dict.fromkeys(score.measure.words.lower() for score in gained))
        titles = ", ".join(dict.fromkeys(map(_set_of, gained)))
        yield f"samples that collapse or copy gain in {names}, which is not ranked here: {titles}"


def misleading(scores: Iterable[ScoreRecord]) -> list[ScoreRecord]:
    """Scores that are good because samples collapse or copy, and so must not be shown as best."""
    scores = tuple(scores)
    suspect = [
        _identity(next(iter(one_set.values()))) for one_set in _sets(scores) if any(_found(one_set))
    ]
    return [one for one in scores if one.measure.name in _GAIN and _identity(one) in suspect]


def _identity(score: ScoreRecord) -> tuple[object, ...]:
    """Of a set of samples, whatever the features."""
    return (score.sampler, score.steps, score.sample_hashes)


def _sets(scores: Iterable[ScoreRecord]) -> Iterable[Mapping[str, ScoreRecord]]:
    """Scores of one set of samples in the same features, by measure."""
    sets: dict[tuple[object, ...], dict[str, ScoreRecord]] = {}
    for score in scores:
        one_set = sets.setdefault((*_identity(score), score.features, score.images), {})
        one_set[score.measure.name] = score
    return sets.values()


def _found(one_set: Mapping[str, ScoreRecord]) -> Iterator[tuple[str, str]]:
    for kind in (_collapse, _repeats, _too_alike, _copies):
        yield from kind(one_set)


def _collapse(found: Mapping[str, ScoreRecord]) -> Iterator[tuple[str, str]]:
    """Samples like training images, but like few of them."""
    precision, recall = found.get("precision"), found.get("recall")
    if precision is None or recall is None:
        return
    floors = [score.floor(HELD_OUT) for score in (precision, recall)]
    real = [1.0 if floor is None else floor.value for floor in floors]  # 1 is the most
    if precision.value >= _NEARLY * real[0] and recall.value <= _LITTLE * real[1]:
        of_real = f"; precision and recall of held-out images {real[0]:.2f} and {real[1]:.2f}"
        yield (
            (
                "samples look like training images, but like few of them "
                f"(collapse{'' if None in floors else of_real}):"
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
