"""Built-in training objectives."""

from dddm.interfaces.info import DiagnosisInfo, MemoryField, ObjectiveInfo, SetInfo
from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_objectives.options import DirectlyDenoisingOptions, DriftingOptions

_LEAK = DiagnosisInfo(
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
)


def describe_directly_denoising(options: DirectlyDenoisingOptions) -> ObjectiveInfo:
    return ObjectiveInfo(
        memory=(MemoryField(name="estimate"),),
        estimate="estimate",
        targets=2 if options.guided_mix else 1,
        diagnosis=_LEAK,
    )


def describe_drifting(options: DriftingOptions) -> ObjectiveInfo:
    return ObjectiveInfo(
        sets=SetInfo(rows=options.rows, real=options.real), metric=False, estimate="none"
    )


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    registrar.add(
        Kind.OBJECTIVE,
        "directly-denoising",
        target="dddm_objectives.directly_denoising:DirectlyDenoising",
        options=DirectlyDenoisingOptions,
        describe=describe_directly_denoising,
        summary="The paper's: the network is given its own estimate of the epoch before.",
        conformance=Conformance(examples=({}, {"estimate_dropout": 0.5}, {"guided_mix": True})),
    )
    registrar.add(
        Kind.OBJECTIVE,
        "drifting",
        target="dddm_objectives.drifting:Drifting",
        options=DriftingOptions,
        describe=describe_drifting,
        summary="One-step generation by comparing sets (Deng et al. 2026).",
        conformance=Conformance(
            examples=(
                {"rows": 4, "real": 6, "patches": [3]},
                {"rows": 4, "real": 6, "patches": [], "pixels": [1, 2], "statistics": True},
            )
        ),
    )
