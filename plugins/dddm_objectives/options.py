"""Options of the built-in objectives.  Imports no torch."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, final

from attrs import frozen

from dddm.interfaces.info import DiagnosisInfo, MemoryField, ObjectiveInfo
from dddm.interfaces.plugin import Issue, RecipeContext, option

_SELF_CONDITIONING: Final = (
    "Share of images whose x̂ is the network's own first estimate (arXiv 2208.04202, where it is "
    "0.5); 0: the network takes no x̂."
)


@final
@frozen(kw_only=True)
class DirectlyDenoisingOptions:
    """Options of `directly-denoising`; the defaults are the paper's."""

    estimate_dropout: float = option(
        0.0,
        at_least=0,
        at_most=1,
        help="Probability of replacing x̂ by fresh noise in training, as in self-conditioning "
        "(arXiv 2208.04202); not in the paper.",
    )
    guided_mix: bool = option(
        default=False,
        help="Train on w d(f, x_0) + (1 − w) d(f, x̂) with w = 1/(n + 1) in epoch n, as in the "
        "follow-up paper (arXiv 2405.21059).",
    )


@final
@frozen(kw_only=True)
class DenoisingOptions:
    """Options of `denoising`."""

    weight: Literal["edm", "noise", "v", "uniform"] = option(
        "edm",
        help="w(t): EDM's, or that which makes the loss the error of the predicted noise or v.",
    )
    sigma_data: float = option(
        0.5, above=0, help='σ_d, the standard deviation of the images, for weight = "edm" alone.'
    )
    self_conditioning: float = option(0.0, at_least=0, at_most=1, help=_SELF_CONDITIONING)


@final
@frozen(kw_only=True)
class FlowMatchingOptions:
    """Options of `flow-matching`."""

    self_conditioning: float = option(0.0, at_least=0, at_most=1, help=_SELF_CONDITIONING)


@final
@frozen(kw_only=True)
class ConsistencyOptions:
    """Options of `consistency`; the defaults are those of iCT."""

    pairs: Literal["grid", "ratio"] = option(
        "grid",
        help='How t and r are paired: neighbours in a grid that becomes finer ("grid": CT, iCT), '
        'or r = t times a ratio that approaches 1 ("ratio": ECT).',
    )
    first_steps: int = option(10, at_least=1, help="s_0: the first grid has s_0 + 1 times.")
    last_steps: int = option(
        1280, at_least=1, help="s_1: the number of steps doubles until it is s_1."
    )
    times: Literal["log-normal", "uniform"] = option(
        "log-normal", help="Distribution of t over the grid: of σ, or uniform over pairs (CT)."
    )
    log_mean: float = option(-1.1, help="P: mean of ln σ.")
    log_std: float = option(2.0, above=0, help="S: standard deviation of ln σ.")
    warm_up: float = option(
        0.35,
        at_least=0,
        below=1,
        help='For pairs = "ratio": share of training in stage 0, which is denoising.',
    )
    halvings: int = option(
        7, at_least=1, help='For pairs = "ratio": J, how often 1 − r/t is halved.'
    )
    weight: Literal["inverse-gap", "uniform"] = option(
        "inverse-gap", help="λ: 1/(σ_t − σ_r), or 1 (CT)."
    )
    averaged_teacher: bool = option(
        default=False, help="Take the target from the averaged network (CT), not the network."
    )


@final
@frozen(kw_only=True)
class MeanFlowOptions:
    """Options of `mean-flow`."""

    equal_share: float = option(
        0.25, at_least=0, at_most=1, help="Share of images with r = t, where the loss is v's."
    )
    power: float = option(
        0.75, at_least=0, help="p of the adaptive weight; 0 weighs every image alike."
    )
    offset: float = option(1e-3, above=0, help="c of the adaptive weight.")


@final
@frozen(kw_only=True)
class EnergyScoreOptions:
    """Options of `energy-score`."""

    latents: int = option(
        2, at_least=2, help="m, latents for each image; each is a network evaluation."
    )
    beta: float = option(1.0, above=0, below=2, help="β, the power of the distances.")
    spread: float = option(
        1.0,
        at_least=0,
        at_most=1,
        help="λ, weight of the distance between samples; below 1 they vary less than the data.",
    )


_MUCH_LESS: Final = 0.5


def _judge_leak(numbers: Mapping[str, float]) -> str | None:
    """Whether the error is low with the store's estimate alone."""
    try:
        store, noise = numbers["given_store"], numbers["given_noise"]
    except KeyError:
        return None
    said = (
        f"at t = T the error is {store:.2g} given the store's estimate and {noise:.2g} given noise"
    )
    if store < _MUCH_LESS * noise:
        return f"The store has leaked the answer: {said}.  The loss says little about samples."
    return f"The store has not leaked the answer: {said}."


LEAK: Final = DiagnosisInfo(
    title="Leak diagnostic",
    measured="mean squared error of the estimate at t = T",
    curves=(("given_store", "given store"), ("given_noise", "given noise")),
    floor=("data_variance", "data variance"),
    explained=(
        (
            "At t = T the network's input contains next to nothing of the image.  If its error is "
            "low given the store's estimate but not given noise, the estimate has leaked the "
            "answer.  Samples start from noise, so only the second curve predicts their quality; "
            "the loss, which is measured with the store's estimates, does not."
        ),
        (
            "The dashed line is the variance of the data: the error of always predicting the mean "
            "image."
        ),
    ),
    judge=_judge_leak,
)


def describe_directly_denoising(options: DirectlyDenoisingOptions) -> ObjectiveInfo:
    return ObjectiveInfo(
        memory=(MemoryField(name="estimate"),),
        estimate="estimate",
        targets=2 if options.guided_mix else 1,
        diagnosis=LEAK,
        usual={
            "sample": [
                {"use": "dddm:fixed-time", "steps": [1, 2, 10], "images": 500},
                {"use": "dddm:annealed", "steps": [10], "images": 500},
            ]
        },
        traceable=not options.guided_mix,  # whose weights are other numbers in every epoch
    )


def _self_conditioned(share: float, **facts: Any) -> ObjectiveInfo:
    if share == 0:
        return ObjectiveInfo(**facts, traceable=True)
    return ObjectiveInfo(**facts, estimate="estimate", evaluations_without_gradient=1.0)


def describe_denoising(options: DenoisingOptions) -> ObjectiveInfo:
    sigma = options.sigma_data
    return _self_conditioned(
        options.self_conditioning,
        usual={
            "schedule": {"use": "dddm:karras"},
            "parametrization": {"use": "dddm:edm", "sigma_data": sigma, "network_time": "arctan"},
            "metric": {"use": "dddm:l2"},
            "sample": [{"use": "dddm:heun", "steps": [6, 10], "images": 500}],
        },
    )


def describe_flow_matching(options: FlowMatchingOptions) -> ObjectiveInfo:
    usual = {
        "schedule": {"use": "dddm:linear"},
        "sample": [{"use": "dddm:heun", "steps": [5, 10], "images": 500}],
    }
    return _self_conditioned(options.self_conditioning, metric=False, usual=usual)


def describe_consistency(options: ConsistencyOptions) -> ObjectiveInfo:
    grid = options.pairs == "grid"
    return ObjectiveInfo(
        evaluations_without_gradient=1.0,
        average=options.averaged_teacher,
        continuous_time=not grid,
        fewest_times=options.last_steps + 1 if grid else 1,
        usual={
            "schedule": {"use": "dddm:karras"},
            "parametrization": {"use": "dddm:consistency", "network_time": "arctan"},
            "sample": [
                {"use": "dddm:consistency", "times": [0.821], "steps": [1, 2], "images": 500}
            ],
        },
    )


def describe_mean_flow(options: MeanFlowOptions) -> ObjectiveInfo:
    del options
    return ObjectiveInfo(
        metric=False,
        second_time=True,
        continuous_time=True,
        derivatives=1.0,
        usual={
            "schedule": {"use": "dddm:linear", "times": "logit-normal", "mean": -0.4},
            # A derivative along 1000 t is a thousand times as large.
            "parametrization": {"use": "dddm:velocity", "network_time": "unit"},
            "train": {"gradient_clip": 1.0},
            "sample": [{"use": "dddm:jump", "steps": [1, 2, 10], "images": 500}],
        },
    )


def describe_energy_score(options: EnergyScoreOptions) -> ObjectiveInfo:
    return ObjectiveInfo(
        metric=False,
        evaluations=float(options.latents),
        estimate="latent",
        traceable=True,
        usual={
            "schedule": {"use": "dddm:karras", "log_mean": 0.0, "log_std": 1.6},
            "parametrization": {"use": "dddm:edm", "network_time": "arctan"},
            "sample": [{"use": "dddm:ddim", "steps": [1, 2, 10], "images": 500}],
        },
    )


def check_consistency(options: ConsistencyOptions, context: RecipeContext) -> Iterator[Issue]:
    """Check that the grid becomes finer, and that f(x, σ_min) = x."""
    if options.pairs == "grid" and options.last_steps < options.first_steps:
        yield Issue(
            option="last_steps",
            what=f"the grid cannot become finer from {options.first_steps} to "
            f"{options.last_steps} steps",
            remedy=f"use {options.first_steps} or more",
        )
    if not _uses(context, "parametrization", "consistency"):
        yield Issue(
            option="use",
            what="consistency training has a solution of interest only where the estimate is x_t "
            "itself at the smallest noise; otherwise a constant is one",
            remedy='write [parametrization] use = "consistency"',
        )


def check_mean_flow(options: MeanFlowOptions, context: RecipeContext) -> Iterator[Issue]:
    """Check that the path is the linear one."""
    del options
    if not _uses(context, "schedule", "linear"):
        yield Issue(
            option="use",
            what="average velocities are defined on the linear path",
            remedy='write [schedule] use = "linear"',
        )


def _uses(context: RecipeContext, table: str, name: str) -> bool:
    """Whether a recipe's table names this component; true where there is no whole recipe."""
    if "use" not in context.tables.get("schedule", {}):
        return True
    return str(context.tables.get(table, {}).get("use")).rpartition(":")[2] == name
