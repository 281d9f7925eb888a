"""Built-in metrics."""

from dddm.interfaces.plugin import Kind, Registrar, hookimpl
from dddm_metrics.options import PseudoHuberElementwiseOptions, PseudoHuberOptions


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in metrics."""
    registrar.add(
        Kind.METRIC,
        "l1",
        target="dddm_metrics.l1:L1",
        summary="|a − b|, mean over pixels.",
    )
    registrar.add(
        Kind.METRIC,
        "l2",
        target="dddm_metrics.l2:SquaredL2",
        summary="(a − b)², mean over pixels.",
    )
    registrar.add(
        Kind.METRIC,
        "pseudo-huber",
        target="dddm_metrics.pseudo_huber:PseudoHuber",
        options=PseudoHuberOptions,
        summary="√(‖a − b‖² + c²) − c, of the whole image.",
    )
    registrar.add(
        Kind.METRIC,
        "pseudo-huber-elementwise",
        target="dddm_metrics.pseudo_huber_elementwise:PseudoHuberElementwise",
        options=PseudoHuberElementwiseOptions,
        summary="√((a − b)² + c²) − c, mean over pixels; not the scale of pseudo-huber.",
    )
