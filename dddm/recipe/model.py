"""A checked recipe: frozen, typed objects.  After this no string chooses behaviour."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, final

from attrs import NOTHING, asdict, field, fields, frozen

from dddm.errors import PluginError, UsageError
from dddm.interfaces.info import ObjectiveInfo, ScoreInfo
from dddm.interfaces.measurement import BASELINES
from dddm.interfaces.plugin import Info, NestedComponent, option
from dddm.recipe.layout import COMPONENT_TABLES, DURATIONS
from dddm.recipe.protocol import Protocol
from dddm.registry.component import Component

_DEFAULT_SHARDS: Final = 64
_MOST_NAMED: Final = 1024
"""The largest number that a remedy offers."""

MOST_IMAGES: Final = 100_000_000
MOST_BLOCK_IMAGES: Final = 100_000
BLOCK_IMAGES: Final = 64
"""Images that are computed together.  Another number changes the last bits of a sample."""


@final
@frozen(kw_only=True)
class ComponentConfig(NestedComponent):
    """A component together with the options that the recipe gives it."""

    component: Component
    options: Any

    def instantiate(self, **more: Any) -> Any:
        """Import its class and build it: `target(options, **more)`.

        Raises:
            PluginError: if it cannot be imported.
        """
        return self.component.instantiate(self.options, **more)

    def info(self, of: type[Info]) -> Info | None:
        """What its registration says of it with these options; None if it says nothing.

        Raises:
            PluginError: if the registration's `describe` fails.
        """
        return self.component.info(of, self.options)

    @property
    def nested(self) -> tuple["ComponentConfig", ...]:
        """The components that this one uses."""
        values = asdict(self.options, recurse=False).values()
        return tuple(value for value in values if isinstance(value, ComponentConfig))

    @property
    def identity(self) -> dict[str, Any]:
        """Plain values that identify what it computes, for cache keys.

        All options are part of it, even those that the component's own fingerprint omits, and the
        version of the package, whose code may have changed.
        """
        return {
            "id": self.component.id,
            "package": f"{self.component.package} {self.component.version}",
            "options": plain(self.options),
            "parts": [part.identity for part in self.nested],
        }

    @property
    def all_defaults(self) -> bool:
        """Whether every option has the value that it has by default."""
        return all(
            getattr(self.options, field.name) == field.default
            for field in fields(type(self.options))
        )

    def with_nested(self) -> Iterator["ComponentConfig"]:
        """This component and all that are nested in it, at any depth."""
        yield self
        for inner in self.nested:
            yield from inner.with_nested()


def plain(options: Any) -> dict[str, Any]:
    """Options as TOML and JSON hold them: tuples as lists, components as tables, None left out."""
    values = asdict(options, recurse=False)
    return {name: _plain_value(value) for name, value in values.items() if value is not None}


def config_table(use: ComponentConfig) -> dict[str, Any]:
    """A component with its options, as a recipe's table holds it."""
    return {"use": use.component.id, **plain(use.options)}


def with_defaults(table: Mapping[str, Any], options: Any) -> dict[str, Any]:
    """A stored table with the defaults of options that are newer than it, nested ones too.

    Args:
        table: as `plain` or `config_table` made it.
        options: an instance of the options class that it is a table of now.
    """
    values = asdict(options, recurse=False)
    new = {each.name: each.default for each in fields(type(options)) if each.name not in table}
    filled = {name: _plain_value(value) for name, value in new.items() if _is_default(value)}
    for name, value in table.items():
        inner = values.get(name)
        if isinstance(inner, ComponentConfig) and isinstance(value, Mapping):
            filled[name] = with_defaults(value, inner.options)
        else:
            filled[name] = value
    return filled


def _is_default(value: Any) -> bool:
    return value is not None and value is not NOTHING


def _plain_value(value: Any) -> Any:
    if isinstance(value, ComponentConfig):
        return config_table(value)
    return list(value) if isinstance(value, tuple) else value


def score_info(use: ComponentConfig) -> ScoreInfo:
    """What a score gives with its options, and what it takes.

    Raises:
        PluginError: if its registration does not say.
    """
    facts = use.info(ScoreInfo)
    if facts is None or not facts.measures:
        raise PluginError(
            f"the score {use.component.id} does not say what it measures",
            remedy=f"report this to the authors of {use.component.package}: a score is registered "
            "with describe=…, which gives ScoreInfo with one measure or more",
        )
    return facts


@final
@frozen(kw_only=True)
class TrainSettings:
    """Table `[train]`: how long and in which steps; exactly one of the first four says how long."""

    epochs: int | None = option(None, at_least=1, help="Passes over the training images.")
    steps: int | None = option(None, at_least=1, help="Optimizer steps.")
    images: int | None = option(
        None, at_least=1, help="Training images processed in total, rounded up to whole steps."
    )
    training_flops: float | None = option(
        None,
        above=0,
        help="Floating point operations of the whole run; the number of steps follows from the "
        "cost of one, which `dddm run --dry-run` shows.",
    )
    start_from: str | None = option(
        None,
        help="Another run, whose newest weights and averages training begins with, as far as they "
        "fit by name and shape: a folder, where a relative path starts from the working directory; "
        "hf://user/name on the Hub; or a run that comes with dddm, such as digits.",
    )
    batch_images: int = option(at_least=1, help="Images in one optimizer step.")
    accumulation_steps: int | Literal["auto"] = option(
        1,
        at_least=1,
        help="Equal micro-batches whose gradients are accumulated for one step, if a whole batch "
        'does not fit in memory; results change only by rounding.  With "auto" they are as few as '
        "memory has room for, which a run keeps when it is resumed.",
    )
    precision: Literal["float32", "bfloat16", "float16"] = option(
        "float32",
        help="Precision of the network during training; weights, estimates, loss and samples are "
        "float32.  With float16 the loss is scaled.",
    )
    gradient_precision: Literal["float32", "bfloat16"] = option(
        "float32",
        help="Precision in which several processes send each other their gradients; bfloat16 "
        "halves what they send and rounds it to 8 bits.  One process sends nothing.",
    )
    sharding: Literal["none", "full"] = option(
        "none",
        help="With full, processes share weights, gradients, optimizer state and averages (FSDP2): "
        "each keeps its part of every tensor, for networks that one device cannot hold.  Results "
        "change only by rounding.",
    )
    tf32: bool = option(
        default=False,
        help="On a GPU, float32 products and convolutions of training may round inputs to 10 bits "
        "(TF32): 7 times as fast.  Otherwise float32 is float32, in samples and scores always.",
    )
    compile: bool = option(
        default=False,
        help="Compile the whole step with torch.compile: the path from x_0 to x_t, network, metric "
        "and loss.  Dropout then draws other numbers.",
    )
    flips: bool = option(
        default=False,
        help="Mirror each image, and its stored estimate, with probability 1/2; not in the paper.",
    )
    label_dropout: float | None = option(
        None,
        at_least=0,
        below=1,
        help='Probability with which the label of an image is replaced by "no class", so that '
        "samples can be guided; usually 0.1.  Without it no label is dropped.",
    )
    data_on_device: bool = option(
        default=False, help="Keep the training images in the device's memory."
    )
    gradient_clip: float | None = option(
        None, above=0, help="Largest norm of the gradient; without it there is no clipping."
    )
    ema: float = option(
        0.9999,
        at_least=0,
        below=1,
        help="Decay of the weights' exponential moving average, per step.",
    )
    ema_warmup: bool = option(
        False, help="Use min(ema, (1+k)/(10+k)) at step k, for runs too short for their decay."
    )
    extra_ema_decays: tuple[float, ...] = option(
        (),
        at_least=0,
        below=1,
        help="Decays of further averages of the weights; `dddm sample --ema` uses them.",
    )
    shards: int | None = option(
        None,
        at_least=1,
        help="Parts that the images are divided into; each batch takes equally many from each.  "
        "The number of processes must divide it.  By default the largest power of two up to 64 "
        "that divides the batch.",
    )
    checkpoint_every_epochs: int = option(1, at_least=1, help="Epochs between checkpoints.")
    keep_checkpoints: int = option(
        2, at_least=1, help="How many of the newest checkpoints are kept."
    )
    keep_every_epochs: int | None = option(
        None, at_least=1, help="Epochs between checkpoints that are never deleted."
    )
    sample_every_epochs: int | None = option(
        None, at_least=1, help="Epochs between sample grids; by default there is one at the end."
    )
    score_every_epochs: int | None = option(
        None,
        at_least=1,
        help="Epochs between scores during training, by the first of evaluate.scores; the averaged "
        "weights with the best score at the first of `score_steps` are kept in best/.",
    )
    score_steps: tuple[int, ...] = option(
        (1, 2), at_least=1, help="Step counts of samples that are scored during training."
    )
    score_images: int = option(
        1000,
        at_least=2,
        help="Samples for each score during training; more samples give lower distances.",
    )
    diagnose_every_epochs: int = option(
        1, at_least=1, help="Epochs between diagnoses of the objective."
    )
    log_every_steps: int = option(1, at_least=1, help="Steps between entries of the log.")

    @property
    def micro_batches(self) -> int | None:
        """`accumulation_steps` as a number; None where it is found when the run begins."""
        return None if self.accumulation_steps == "auto" else self.accumulation_steps

    @property
    def duration(self) -> dict[str, float]:
        """Which of the first four keys says how long training takes, and its value."""
        values = {name: getattr(self, name) for name in DURATIONS}
        return {name: value for name, value in values.items() if value is not None}


@final
@frozen(kw_only=True)
class SampleSettings:
    """What one `[[sample]]` table says beside `use` and the sampler's own options."""

    steps: tuple[int, ...] = option(at_least=1, help="Step counts to sample with.")
    images: int = option(
        64, at_least=1, at_most=MOST_IMAGES, help="Number of samples at each step count."
    )
    seed: int = option(
        0, at_least=0, help="Image k's noise and class depend only on the seed and k."
    )
    seeds: int = option(
        1,
        at_least=1,
        at_most=1000,
        help="Number of sample sets, with the seeds seed, seed + 1, …; scores are means over them, "
        "with standard deviations.",
    )
    classes: Literal["in-turn", "random"] | None = option(
        None,
        help="How images take their classes: in-turn, so that all have equally many, or each at "
        "random by the seed, as in ADM's script.  Without it in turn.",
    )
    guidance: float | None = option(
        None,
        at_least=0,
        help="Scale w of classifier-free guidance, D(no class) + w (D(class) − D(no class)): two "
        "network evaluations instead of one.  1 is no guidance.  It needs train.label_dropout.",
    )
    guidance_interval: tuple[float, ...] | None = option(
        None,
        at_least=0,
        help="Two noise levels s/a: samples are guided above the first and up to the second.  "
        "Without it they are guided at every time.",
    )
    precision: Literal["float32", "bfloat16"] = option(
        "float32",
        help="Precision of the network; everything else of a sample is float32.  Samples in "
        "bfloat16 differ from those in float32 by more than devices do.",
    )
    compile: bool = option(
        default=False, help="Compile the network with torch.compile, which takes a minute or more."
    )
    block_images: int = option(
        BLOCK_IMAGES,
        at_least=1,
        at_most=MOST_BLOCK_IMAGES,
        help="Images computed together; a GPU wants some hundreds.  Another number changes images "
        "by rounding errors.",
    )


@final
@frozen(kw_only=True)
class Guidance:
    """Classifier-free guidance of samples; `dddm.core.guidance` has its equations.

    Attributes:
        scale: w, at least 0 and not 1.
        interval: two noise levels s/a; above the first and up to the second samples are guided.
            None for all.
    """

    scale: float
    interval: tuple[float, float] | None = None

    @classmethod
    def make(cls, scale: float | None, interval: Sequence[float] | None) -> "Guidance | None":
        """What a recipe, a command or a call asks for; None for none, as for a scale of 1.

        Raises:
            UsageError: for a scale or an interval that is not one.
        """
        if scale is None and interval is not None:
            raise UsageError(
                "guidance_interval has no effect without guidance",
                where="guidance_interval",
                remedy="set guidance, for instance to 2, or remove guidance_interval",
            )
        if scale is not None and not 0 <= scale < math.inf:
            raise UsageError(
                f"guidance is {scale:g}; it must be a number of at least 0", where="guidance"
            )
        if interval is not None and not _is_interval(interval):
            shown = ", ".join(f"{level:g}" for level in interval)
            raise UsageError(
                f"guidance_interval is [{shown}]; it must be two noise levels, of which the first "
                "is at least 0 and less than the second",
                where="guidance_interval",
                remedy="write, for instance, guidance_interval = [0.3, 5]",
            )
        if scale is None or scale == 1:
            return None
        return cls(scale=scale, interval=None if interval is None else (interval[0], interval[1]))

    @property
    def as_table(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        interval = None if self.interval is None else list(self.interval)
        return {"scale": self.scale, "interval": interval}

    def __str__(self) -> str:
        """`guidance-2`, or `guidance-2-from-0.3-to-5`: part of a folder's name."""
        text = f"guidance-{_short(self.scale)}"
        if self.interval is None:
            return text
        low, high = map(_short, self.interval)
        return f"{text}-from-{low}-to-{high}"


def _is_interval(levels: Sequence[float]) -> bool:
    return len(levels) == 2 and 0 <= levels[0] < levels[1] < math.inf  # noqa: PLR2004 - its ends


def _short(number: float) -> str:
    """All digits that tell it from another, without `.0`."""
    return repr(float(number)).removesuffix(".0")


def _ascending(steps: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(steps)))


@final
@frozen(kw_only=True)
class SampleSpec:
    """Images 0…images-1 of a seed, by one sampler at some step counts.

    The same object comes from a `[[sample]]` table, from `dddm sample` and from Python, and goes to
    the generator.

    Attributes:
        steps: step counts, ascending, each once, at least 1.
        seed: of all noise.
        guidance: None for none.
        labels: names or numbers of classes that images take; None for all.
        random_classes: whether each image takes one of them at random; else they do so in turn.
        separate: whether each image is also written as a PNG of its own.
        block_images: how many images are computed together.
        precision: of the network, `float32` or `bfloat16`.
        compile: whether to torch.compile it.

    Raises:
        UsageError: for a number that is too small or too large.
    """

    sampler: ComponentConfig
    steps: tuple[int, ...] = field(converter=_ascending)
    images: int
    seed: int
    guidance: Guidance | None = None
    labels: tuple[str, ...] | None = None
    random_classes: bool = False
    separate: bool = False
    block_images: int = BLOCK_IMAGES
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False

    def __attrs_post_init__(self) -> None:
        for name, value, least, most in (
            ("images", self.images, 1, MOST_IMAGES),
            ("steps", self.steps[0], 1, None),
            ("seed", self.seed, 0, None),
            ("block_images", self.block_images, 1, MOST_BLOCK_IMAGES),
        ):
            if value < least:
                raise UsageError(f"{name} is {value}; it must be at least {least}", where=name)
            if most is not None and value > most:
                raise UsageError(f"{name} is {value}; it must be at most {most:,}", where=name)

    @property
    def name(self) -> str:
        """What its samples are called: `heun`, or `heun-guidance-2`; no namespace."""
        sampler = self.sampler.component.name
        return sampler if self.guidance is None else f"{sampler}-{self.guidance}"

    @property
    def blocks(self) -> int:
        """Number of blocks; the last one is computed whole, even where fewer images are wanted."""
        return math.ceil(self.images / self.block_images)


@final
@frozen(kw_only=True)
class Evaluation:
    """Table `[evaluate]`.

    Attributes:
        features: every score is taken in each of them.
        scores: what is measured; during training the first of them decides.
        protocol: what scores must keep to if they are to be compared with others'; None for none.
        baselines: names of the baselines to score too; None for the default.
    """

    features: tuple[ComponentConfig, ...]
    scores: tuple[ComponentConfig, ...]
    protocol: Protocol | None = None
    baselines: tuple[str, ...] | None = None

    @property
    def scored_baselines(self) -> tuple[str, ...]:
        """By default all, and none with a protocol, whose images are many and features costly."""
        if self.baselines is not None:
            return self.baselines
        return BASELINES if self.protocol is None else ()


@final
@frozen(kw_only=True)
class ReportedResult:
    """Table `[[reported]]`: what a publication reports for this recipe.

    It is shown beside the measured scores and is not part of the fingerprint.
    """

    source: str = option(help="Where it is published: a table and its row, or a figure.")
    score: str | None = option(
        None, help="The measure that `values` are of; fd in Inception's features is FID."
    )
    sampler: str | None = option(
        None,
        help="The sampler that `values` were obtained with; without one they are of another method "
        "and are only quoted.",
    )
    features: str | None = option(None, help="The features that `values` were measured in.")
    images: int | None = option(
        None, at_least=1, help="Generated images that `values` were measured on."
    )
    steps: tuple[int, ...] = option(
        (), at_least=1, help="Step counts, or network evaluations of another method."
    )
    values: tuple[float, ...] = option((), help="The values, one for each step count.")
    says: str | None = option(None, help="A statement in words, where no value is published.")
    changed: tuple[str, ...] = option(
        (),
        help="What `--set` changed in training, so that the values no longer apply; written by "
        "dddm.",
    )


@final
@frozen(kw_only=True, repr=False)
class Recipe:
    """All that decides a run's result; made by `from_file` or `from_dict`.

    Attributes:
        tables: the merged tables as plain values with every default filled in; what `dddm show`
            prints and the run folder keeps.
        fingerprint: SHA-256, in hexadecimal, of `tables` without `reported`.
        origins: where each value came from, by its dotted key: `default`, `digits.toml:12` or
            `--set …`.
        sample: what to sample; a table with several `seeds` gives one entry for each.
        parametrization: None for the schedule's own.
        metric: None where the objective uses none.
        targets: None where the objective has no memory.
        observe: observers; None where the recipe names none and the default ones follow the run.
        reported: published results of this recipe; nothing depends on them.
    """

    name: str
    seed: int
    data: ComponentConfig
    objective: ComponentConfig
    schedule: ComponentConfig
    parametrization: ComponentConfig | None
    backbone: ComponentConfig
    metric: ComponentConfig | None
    targets: ComponentConfig | None
    optimizer: ComponentConfig
    learning_rate: ComponentConfig
    train: TrainSettings
    sample: tuple[SampleSpec, ...]
    evaluate: Evaluation | None
    observe: tuple[ComponentConfig, ...] | None
    reported: tuple[ReportedResult, ...] = ()
    tables: dict[str, Any]
    fingerprint: str
    origins: dict[str, str] = field(factory=dict, eq=False)

    @classmethod
    def from_file(
        cls,
        recipe: str | Path,
        *,
        overrides: Mapping[str, Any] | None = None,
        entry: str | None = None,
    ) -> "Recipe":
        """Read and check a recipe.

        Args:
            recipe: a path, or the name of a recipe that comes with dddm, such as `digits`.
            overrides: values by dotted key, as `--set` has them: `{"train.epochs": 2}`.
            entry: of a recipe with a sweep: `l1`, or `l1/seed-0` with training seeds.

        Raises:
            RecipeError: with everything that is wrong, each with file, line and column.
            UsageError: if there is no such entry, or a sweep and no entry is named.
            PluginError: if plugins alone are at fault.
        """
        from dddm.recipe import sweep  # here, because reading makes recipes

        return sweep.read_one(recipe, overrides=overrides or {}, entry=entry)

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any], *, entry: str | None = None) -> "Recipe":
        """Check a recipe of Python values, as `tomllib` reads them from a file.

        Args:
            tables: may extend a recipe: `{"extends": "digits", "train": {"epochs": 2}}`.
            entry: as in `from_file`.

        Raises:
            RecipeError: with everything that is wrong, each with its dotted key.
            UsageError: as `from_file`.
            PluginError: if plugins alone are at fault.
        """
        from dddm.recipe import merge, sweep

        return sweep.read_one(merge.merge_tables(tables), entry=entry)

    def __repr__(self) -> str:
        return (
            f"<Recipe {self.name}: {self.objective.component.name} on {self.data.component.name}>"
        )

    @property
    def needs(self) -> ObjectiveInfo:
        """What its objective needs.

        Raises:
            PluginError: if the objective cannot say.
        """
        return self.objective.info(ObjectiveInfo) or ObjectiveInfo()

    def network_classes(self, classes: int) -> int:
        """Classes of the network, for images of so many: with label dropout "no class" is another.

        It is the last, so that the numbers of the others stay as they are.
        """
        return classes + 1 if classes and self.train.label_dropout else classes

    @property
    def own_sampler(self) -> ComponentConfig | None:
        """That of the first samples; None without any."""
        return self.sample[0].sampler if self.sample else None

    @property
    def batch_units(self) -> int:
        """What shards share of a batch: its images, or its sets where the objective compares sets.

        Raises:
            PluginError: if the objective cannot say.
        """
        sets = self.needs.sets
        return self.train.batch_images // (1 if sets is None else sets.rows)

    @property
    def components(self) -> tuple[ComponentConfig, ...]:
        """Every component that its tables name; those nested in these are not among them."""
        single = (getattr(self, name) for name in COMPONENT_TABLES)
        evaluate = self.evaluate
        return (
            *(one for one in single if one is not None),
            *(spec.sampler for spec in self.sample),
            *(() if evaluate is None else (*evaluate.features, *evaluate.scores)),
            *(self.observe or ()),
        )


def default_shards(batch_images: int) -> int:
    """The largest power of two up to 64 that divides the batch; see `dddm.training.batches`."""
    return min(batch_images & -batch_images, _DEFAULT_SHARDS)


def batches_per_epoch(*, images: int, batch_images: int, shards: int) -> int:
    """How many whole batches the smallest shard can serve; `shards` divides `batch_images`."""
    return (images // shards) // (batch_images // shards)


def check_processes(processes: int, *, batch_images: int, shards: int | None) -> None:
    """Refuse a number of processes that cannot share the shards equally.

    Raises:
        UsageError: with the numbers that can.
    """
    shards = shards or default_shards(batch_images)
    if shards % processes:
        fit = ", ".join(
            str(count) for count in range(1, min(shards, _MOST_NAMED) + 1) if shards % count == 0
        )
        raise UsageError(
            f"{processes} processes cannot share {shards} shards of the images equally",
            where="--nproc",
            remedy=f"use {fit} processes; or, in a new run folder, "
            + _way_to_share(processes, batch_images=batch_images),
        )


def _way_to_share(processes: int, *, batch_images: int) -> str:
    """What lets so many processes share a run."""
    if batch_images % processes:
        below = batch_images - batch_images % processes
        near = f"{below} or {below + processes}" if below else f"{processes}"
        batches = f"batches that {processes} divides, such as of {near}"
        return f"{batches}, with train.shards = {processes}"
    several = range(processes, max(processes, _DEFAULT_SHARDS) + 1, processes)
    return f"train.shards = {max(n for n in several if batch_images % n == 0)}"
