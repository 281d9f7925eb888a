"""A right score, and wrong ones."""

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch

from dddm.interfaces.features import Extraction
from dddm.interfaces.info import Better, Measure, ScoreInfo
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.plugin import Describe, Kind, NoOptions
from dddm.interfaces.score import Reference, Score
from planted.bug import Bug, bug


def facts(
    better: Better = "less", *, name: str = "means", fewest: int = 2, times: int = 1
) -> Describe:
    measure = Measure(name=name, words="Means", better=better, explained="how far means are apart")
    said = ScoreInfo(measures=(measure,) * times, fewest_images=fewest)
    return lambda _options: said


class Means(Score):
    """How far the means of features are apart."""

    def __init__(self, options: NoOptions) -> None:
        pass

    def value(self, generated: Extraction, reference: Reference) -> float:
        apart = generated.features.mean(0) - reference.train.mean(0)
        return float(apart.square().sum())

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        return {"means": Measurement(value=self.value(generated, reference))}


@final
class RightScore(Means):
    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        if reference.held_out is None:
            return {}
        value = self.value(Extraction(features=reference.held_out), reference)
        return {"means": (Floor(name="held-out", value=value, images=len(reference.held_out)),)}


@final
class SaysNothing(Means):
    pass


@final
class SaysItTwice(Means):
    pass


@final
class GivesAnother(Means):
    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        return {"mean": Measurement(value=self.value(generated, reference))}


@final
class NoNumber(Means):
    def value(self, generated: Extraction, reference: Reference) -> float:
        return super().value(generated, reference) * float("nan")


@final
class TakesMoreImages(Means):
    def value(self, generated: Extraction, reference: Reference) -> float:
        if len(generated.features) < 5:
            raise ValueError("too few")
        return super().value(generated, reference)


@final
class MoreIsBetter(Means):
    pass


@final
class DrawsAnew(Means):
    def value(self, generated: Extraction, reference: Reference) -> float:
        return super().value(generated, reference) + float(1e-3 * torch.rand(()))


@final
class FirstAndLast(Means):
    def value(self, generated: Extraction, reference: Reference) -> float:
        first, last = generated.features[0, 0], generated.features[-1, 0]
        return super().value(generated, reference) + 1000 * float(first > last)


@final
class CentresInPlace(Means):
    def value(self, generated: Extraction, reference: Reference) -> float:
        apart = generated.features.sub_(reference.train.mean(0)).mean(0)
        return float(apart.square().sum())


@final
class WantsLogits(Means):
    def value(self, generated: Extraction, reference: Reference) -> float:
        assert generated.logits is not None
        return super().value(generated, reference)


@final
class FloorOfAnother(Means):
    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        return {"deviations": ()}


@final
class SetsThreads(Means):
    def value(self, generated: Extraction, reference: Reference) -> float:
        torch.set_num_threads(3)
        return super().value(generated, reference)


BUGS: Final[list[Bug]] = [
    bug(Kind.SCORE, RightScore, describe=facts()),
    bug(Kind.SCORE, SaysNothing, "score.says-what-it-measures"),
    bug(Kind.SCORE, SaysItTwice, "score.says-what-it-measures", describe=facts(times=2)),
    bug(Kind.SCORE, GivesAnother, "score.gives-what-it-says", describe=facts()),
    bug(Kind.SCORE, NoNumber, "score.gives-what-it-says", describe=facts()),
    bug(Kind.SCORE, TakesMoreImages, "score.fewest-images", describe=facts()),
    bug(Kind.SCORE, MoreIsBetter, "score.real-images-are-better", describe=facts("more")),
    bug(Kind.SCORE, DrawsAnew, "score.always-the-same", describe=facts()),
    bug(Kind.SCORE, FirstAndLast, "score.order-of-images", describe=facts()),
    bug(Kind.SCORE, CentresInPlace, "score.inputs-unchanged", describe=facts()),
    bug(Kind.SCORE, WantsLogits, "score.logits-only-where-said", describe=facts()),
    bug(Kind.SCORE, FloorOfAnother, "score.floors", describe=facts()),
    bug(Kind.SCORE, SetsThreads, "score.torch-unchanged", describe=facts()),
]
