"""Properties of components with given options, known without torch.

A registration's `describe` returns them, so that `dddm check` and the dry run can tell whether the
components of a recipe fit together.  A component without `describe` has the defaults of its kind.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, final

from attrs import field, frozen


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
        """Numbers in one image: C·H·W."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}×{self.height}×{self.width}"


@final
@frozen(kw_only=True)
class DatasetInfo:
    """Properties of a data set, known without reading images.

    Attributes:
        shape: of all images.
        train_images: number of images in the training split.
        classes: names in the order of their labels; empty if there are none.
        class_images: number of training images of each class; empty if there are no classes, or
            it is not known.
    """

    shape: ImageShape
    train_images: int
    classes: tuple[str, ...] = ()
    class_images: tuple[int, ...] = ()


@final
@frozen(kw_only=True)
class MemoryField:
    """A tensor that an objective stores for each row of its memory.

    Attributes:
        shape: of one row, (C, H, W); None for that of an image.
        initial: value of a row before it is first written: N(0, I) noise that depends only on the
            seed and the row's index, or zeros.
    """

    name: str
    shape: tuple[int, int, int] | None = None
    initial: Literal["noise", "zeros"] = "noise"


@final
@frozen(kw_only=True)
class SetInfo:
    """Sets of generated and real images of one class that an objective compares.

    Attributes:
        rows: rows of the batch in one set.
        real: additional real images of that class for each set.
    """

    rows: int
    real: int


@final
@frozen(kw_only=True)
class DiagnosisInfo:
    """How the report shows the numbers of an objective's diagnosis.

    Attributes:
        title: of the section.
        measured: label of the axis.
        curves: numbers plotted over the epochs, each with its label in the legend.
        floor: a number drawn as a horizontal line, with its label.
        explained: paragraphs of explanation.
        judge: returns a sentence on the numbers of one diagnosis, or None.
    """

    title: str
    measured: str
    curves: tuple[tuple[str, str], ...]
    floor: tuple[str, str] | None = None
    explained: tuple[str, ...] = ()
    judge: Callable[[Mapping[str, float]], str | None] | None = None


@final
@frozen(kw_only=True)
class ObjectiveInfo:
    """Requirements of an objective, and the cost of a step.

    Attributes:
        memory: fields stored for each row; empty for an objective without memory.
        memory_rows: number of rows; None for one for each training image.
        sets: for objectives that compare sets of images; None if each image has its own loss.
        metric: whether it uses the recipe's `[metric]`.
        evaluations: network evaluations with gradient, for each image of a step.
        evaluations_without_gradient: additional ones.
        derivatives: forward-mode derivatives of the network, for each image.
        targets: images that the metric compares each estimate with gradient with.
        second_time: whether the network must take a second time.
        continuous_time: whether times must be real numbers.
        fewest_times: how many different times the schedule must have.
        average: whether it evaluates the averaged network too.
        gradient_features: whether its nested features must be differentiable.
        times: which times the network is trained at: those that the schedule draws, or T alone.
        estimate: what the network gets as x̂: an estimate of x_0, a fresh latent, or nothing.
        diagnosis: how to show `Objective.diagnose`; None if there is none.
        traceable: whether torch.compile can make one graph of its whole step, which must not use
            `frozen_pass`, `jvp` or how far training has come.  Otherwise network evaluations and
            the metric are compiled, each by itself.
        usual: tables that go with it, by name and as in a recipe, with full ids: what a recipe
            gets that leaves out its own.  `schedule`, `parametrization`, `metric` and `sample` are
            taken whole, of `backbone` and `train` single options.
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
    fewest_times: int = 1
    average: bool = False
    gradient_features: bool = False
    times: Literal["all", "last"] = "all"
    estimate: Literal["estimate", "latent", "none"] = "none"
    diagnosis: DiagnosisInfo | None = None
    traceable: bool = False
    usual: Mapping[str, Any] = field(factory=dict, hash=False)


@final
@frozen(kw_only=True)
class BackboneInfo:
    """Inputs and capabilities of a network.

    Attributes:
        estimate: whether x̂ is an input.
        second_time: whether a second time is.
        time: whether the time is; a network without it serves objectives and samplers that
            evaluate it at T alone.
        forward_mode: whether it supports forward-mode derivatives.
        classes: whether class labels are, for images that have classes.
    """

    estimate: bool = True
    second_time: bool = False
    time: bool = True
    forward_mode: bool = True
    classes: bool = True


@final
@frozen(kw_only=True)
class ScheduleInfo:
    """The times of a schedule.

    Attributes:
        continuous: whether times are real numbers; otherwise integers.
        last_time: T.
    """

    continuous: bool = False
    last_time: float | None = None


@final
@frozen(kw_only=True)
class SamplerInfo:
    """How a sampler uses the network.

    Attributes:
        second_time: whether it passes a second time.
        refines: whether it stays at T, so that from step to step only x̂ changes.
    """

    second_time: bool = False
    refines: bool = False


@final
@frozen(kw_only=True)
class FeaturesInfo:
    """Capabilities of features.

    Attributes:
        gradient: whether `Features.embed` returns features with gradient.
        logits: whether `Features.extract_with_logits` returns class logits; None where it does if
            the images that they learn from have classes.
    """

    gradient: bool = False
    logits: bool | None = False


Better = Literal["less", "more", "neither"]


@final
@frozen(kw_only=True)
class Detail:
    """An additional number of a measure, shown beside it in tables.

    Attributes:
        name: key in `Measurement.details`: lower-case words joined by underscores.
        words: column heading.
        explained: explanation; a clause without a full stop.
        percent: whether it is a fraction, shown in percent.
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
        name: key in `scores.json`: lower-case words joined by hyphens.
        words: name in tables.
        better: which values are better; `neither` if both extremes are bad, as in a check for
            copied images.
        explained: explanation; a clause without a full stop.
        heading: of its column on a terminal; `name` by default.
        times: factor applied to values there; say so in `heading`.
        published: name in papers for results under a protocol; `name` by default.
        details: additional numbers shown beside it.
        fidelity: whether images without objects have bad values.  False for what measures diversity
            or novelty alone, in which noise does well.
    """

    name: str
    words: str
    better: Better
    explained: str
    heading: str | None = None
    times: int = 1
    published: str | None = None
    details: tuple[Detail, ...] = ()
    fidelity: bool = True

    @property
    def is_check(self) -> bool:
        """Whether it has no better value, and is not about diversity: tables show it apart."""
        return self.better == "neither" and self.fidelity

    def best(self, values: Iterable[float]) -> float | None:
        """The best value; None for no values, or if `better` is `neither`."""
        every = list(values)
        if self.better == "neither" or not every:
            return None
        return min(every) if self.better == "less" else max(every)


@final
@frozen(kw_only=True)
class ScoreInfo:
    """Results and requirements of a score.

    Attributes:
        measures: its numbers, at least one; the first selects the best weights during training.
        fewest_images: minimum number of generated and of training images.
        logits: whether it needs features with class logits.
    """

    measures: tuple[Measure, ...]
    fewest_images: int = 2
    logits: bool = False


ComponentInfo = (
    DatasetInfo
    | ObjectiveInfo
    | BackboneInfo
    | ScheduleInfo
    | SamplerInfo
    | FeaturesInfo
    | ScoreInfo
)
