"""What a component says of itself, with given options, before it is built.  Imports no torch.

A registration gives them by `describe`, so that `dddm check`, the dry run and the documentation can
tell whether the parts of a recipe fit each other.  A component that describes nothing is taken to
have the defaults of its kind's facts.
"""

from collections.abc import Iterable
from typing import Literal, final

from attrs import frozen


@final
@frozen(kw_only=True)
class ImageShape:
    """Channels, height and width of one image, in pixels."""

    channels: int
    height: int
    width: int

    @property
    def as_tuple(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.height, self.width)

    @property
    def values(self) -> int:
        """How many numbers one image holds: C·H·W."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}×{self.height}×{self.width}"


@final
@frozen(kw_only=True)
class DatasetInfo:
    """What a data set can say of itself without reading an image.

    Attributes:
        shape: the shape that all images share.
        train_images: how many images the training split has.
        classes: names of the classes, in the order of their labels; empty where there are none.
    """

    shape: ImageShape
    train_images: int
    classes: tuple[str, ...] = ()


@final
@frozen(kw_only=True)
class MemoryField:
    """One tensor that an objective remembers for each row of its memory.

    Attributes:
        shape: of one row, (C, H, W); None for that of an image.
        initial: what a row holds before it is first written: N(0, I) noise that depends on the
            seed and the row's index alone, or zeros.
    """

    name: str
    shape: tuple[int, int, int] | None = None
    initial: Literal["noise", "zeros"] = "noise"


@final
@frozen(kw_only=True)
class SetInfo:
    """Sets of images that an objective compares: each of one class, generated and real ones.

    Attributes:
        rows: rows of the batch in one set; they all have its class.
        real: further real images of that class that a set is compared with.
    """

    rows: int
    real: int


@final
@frozen(kw_only=True)
class DiagnosisInfo:
    """What the numbers of an objective's diagnosis mean, for the report.

    Attributes:
        title: of their part of the page.
        measured: what their axis shows.
        curves: the numbers that are drawn over the epochs, each with its name in the legend.
        floor: a number that is drawn as a line across, likewise.
        explained: paragraphs for readers.
    """

    title: str
    measured: str
    curves: tuple[tuple[str, str], ...]
    floor: tuple[str, str] | None = None
    explained: tuple[str, ...] = ()


@final
@frozen(kw_only=True)
class ObjectiveInfo:
    """What an objective needs, and what one of its steps costs.

    Attributes:
        memory: the fields that it remembers for each row; empty for an objective without memory.
        memory_rows: how many rows; None for one for each training image.
        sets: where it compares sets of images; None where each image has a loss of its own.
        metric: whether it uses the recipe's `[metric]`.
        evaluations: of the network with gradient, for each image of a step.
        evaluations_without_gradient: further ones.
        derivatives: forward-mode derivatives of the network, for each image.
        targets: how many images each estimate with gradient is compared with by the metric.
        second_time: whether the network must take a second time.
        continuous_time: whether times must be real numbers.
        average: whether it evaluates the averaged network too.
        gradient_features: whether the features that it holds must be differentiable.
        estimate: what x̂ is to the network: an estimate of x_0, a fresh latent, or nothing.
        diagnosis: what `Objective.diagnose` measures; None where it measures nothing.
    """

    memory: tuple[MemoryField, ...] = ()
    memory_rows: int | None = None
    sets: SetInfo | None = None
    metric: bool = True
    evaluations: float = 1.0
    evaluations_without_gradient: float = 0.0
    derivatives: float = 0.0
    targets: int = 1
    second_time: bool = False
    continuous_time: bool = False
    average: bool = False
    gradient_features: bool = False
    estimate: Literal["estimate", "latent", "none"] = "none"
    diagnosis: DiagnosisInfo | None = None


@final
@frozen(kw_only=True)
class BackboneInfo:
    """What a network takes.

    Attributes:
        estimate: whether x̂ enters it.
        second_time: whether it takes a second time.
        forward_mode: whether forward-mode derivatives can be taken of it.
    """

    estimate: bool = True
    second_time: bool = False
    forward_mode: bool = True


@final
@frozen(kw_only=True)
class ScheduleInfo:
    """Which times a schedule has.

    Attributes:
        continuous: whether they are real numbers; otherwise integers.
        last_time: T.
    """

    continuous: bool = False
    last_time: float | None = None


@final
@frozen(kw_only=True)
class SamplerInfo:
    """What a sampler does with the network.

    Attributes:
        second_time: whether it gives the network a second time.
        refines: whether more than one step is of use only where x̂ enters the network.
    """

    second_time: bool = False
    refines: bool = False


@final
@frozen(kw_only=True)
class FeaturesInfo:
    """What features offer.

    Attributes:
        gradient: whether `Features.embed` gives features with gradient.
        probabilities: whether `Features.examine` gives logits of classes.
    """

    gradient: bool = False
    probabilities: bool = False


Better = Literal["less", "more", "neither"]


@final
@frozen(kw_only=True)
class Detail:
    """A further number of a measure that tables show beside its value.

    Attributes:
        name: in `Measurement.details`: lower-case words joined by underscores.
        words: the heading of its column.
        explained: what it is, for people who read it; a clause without a full stop.
        percent: whether it is a share, and shown in percent.
    """

    name: str
    words: str
    explained: str
    percent: bool = False


@final
@frozen(kw_only=True)
class Measure:
    """One number of a score.

    Attributes:
        name: as it stands in `scores.json`: lower-case words joined by hyphens.
        words: what it is called in tables.
        better: which of two values speaks for the samples; `neither` for a check, such as one on
            copying, in which both extremes are bad.
        explained: what it is, for people who read it; a clause without a full stop.
        heading: of its column on a terminal; without it, `name`.
        times: what a value is multiplied by there, as `heading` should say.
        published: what papers call it where a protocol is kept; without it, `name`.
        details: further numbers that tables show beside it.
    """

    name: str
    words: str
    better: Better
    explained: str
    heading: str | None = None
    times: int = 1
    published: str | None = None
    details: tuple[Detail, ...] = ()

    def best(self, values: Iterable[float]) -> float | None:
        """The best of some values; None where there are none or none is better than another."""
        every = list(values)
        if self.better == "neither" or not every:
            return None
        return min(every) if self.better == "less" else max(every)


@final
@frozen(kw_only=True)
class ScoreInfo:
    """What a score gives, and what it takes.

    Attributes:
        measures: the numbers that it gives, at least one; of these, the first is the one that
            decides where one number must, as during training.
        fewest_images: generated images, and training images, without which there is no such score.
        probabilities: whether it needs features that give logits of classes.
    """

    measures: tuple[Measure, ...]
    fewest_images: int = 2
    probabilities: bool = False


ComponentInfo = (
    DatasetInfo
    | ObjectiveInfo
    | BackboneInfo
    | ScheduleInfo
    | SamplerInfo
    | FeaturesInfo
    | ScoreInfo
)
