"""Built-in metrics."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_metrics.options import (
    TRUNKS,
    FeaturesOptions,
    LpipsOptions,
    PseudoHuberElementwiseOptions,
    PseudoHuberOptions,
    PseudoLpipsOptions,
    check_perceptual,
    needs,
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    registrar.add(
        Kind.METRIC,
        "l1",
        target="dddm_metrics.pixels:L1",
        summary="|a − b|, mean over pixels.",
    )
    registrar.add(
        Kind.METRIC,
        "l2",
        target="dddm_metrics.pixels:SquaredL2",
        summary="(a − b)², mean over pixels.",
    )
    registrar.add(
        Kind.METRIC,
        "pseudo-huber",
        target="dddm_metrics.pixels:PseudoHuber",
        options=PseudoHuberOptions,
        summary="√(‖a − b‖² + c²) − c, of the whole image.",
        conformance=Conformance(examples=({"c": 0.0043}, {"c": 1e-6})),
    )
    registrar.add(
        Kind.METRIC,
        "pseudo-huber-elementwise",
        target="dddm_metrics.pixels:PseudoHuberElementwise",
        options=PseudoHuberElementwiseOptions,
        summary="√((a − b)² + c²) − c, mean over pixels; not the scale of pseudo-huber.",
        conformance=Conformance(examples=({}, {"c": 0.01})),
    )
    registrar.add(
        Kind.METRIC,
        "lpips",
        target="dddm_metrics.perceptual:Lpips",
        options=LpipsOptions,
        check=check_perceptual,
        weights=TRUNKS.values(),
        needs=needs,
        summary="LPIPS, a squared distance between features of a trained network.",
        conformance=Conformance(examples=({"size": 32},)),
    )
    registrar.add(
        Kind.METRIC,
        "pseudo-lpips",
        target="dddm_metrics.perceptual:PseudoLpips",
        options=PseudoLpipsOptions,
        check=check_perceptual,
        weights=TRUNKS.values(),
        needs=needs,
        summary="√(LPIPS + c²) − c, the paper's best.",
        conformance=Conformance(
            examples=tuple({"size": 32, "form": form} for form in ("pseudo", "sqrt", "plain"))
        ),
    )
    registrar.add(
        Kind.METRIC,
        "features",
        target="dddm_metrics.features:InFeatures",
        options=FeaturesOptions,
        summary="√(L + c²) − c, L the distance in the features of any network with a gradient.",
        conformance=Conformance(
            examples=tuple({"features": {"use": name}} for name in ("pixels", "pixels-8x8"))
        ),
    )
