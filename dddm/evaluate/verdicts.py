"""What scores mean in words, beside those of real images and of baselines.  Imports no torch."""

from collections.abc import Iterable, Iterator, Sequence

from dddm.evaluate.record import ScoreRecord
from dddm.interfaces.measurement import CLASS_GAUSSIAN
from dddm.support.quantities import counted_steps


def verdicts(scores: Iterable[ScoreRecord]) -> Iterator[str]:
    """Sentences, without a full stop, on scores that do not show what they seem to show."""
    by_name: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        by_name.setdefault(score.name, []).append(score)
    for same_name in by_name.values():
        yield from _against_gaussian(same_name)


def _against_gaussian(scores: Sequence[ScoreRecord]) -> Iterator[str]:
    """One sentence on all scores of one name that are not better than the Gaussian's."""
    measure = scores[0].measure
    baseline = next((one for s in scores if (one := s.baseline(CLASS_GAUSSIAN)) is not None), None)
    if baseline is None or not measure.fidelity:
        return
    worse = [
        f"{_short(score.value, score)} ({_set_of(score)})"
        for score in scores
        if score.value == baseline.value
        or measure.best([score.value, baseline.value]) == baseline.value
    ]
    if worse:
        yield (
            f"{scores[0].name} shows nothing about objects: {baseline.words} reaches "
            f"{_short(baseline.value, scores[0])}, without a network, and these samples are not "
            f"better: {', '.join(worse)}"
        )


def _set_of(score: ScoreRecord) -> str:
    steps = counted_steps(score.steps, score.evaluations) if score.steps else ""
    return f"{score.sampler}, {steps}" if steps else score.sampler


def _short(value: float, score: ScoreRecord) -> str:
    """About three digits of a value, as on a terminal."""
    return f"{value * score.measure.times:.3g}"
