"""A transformer and a robust loss for dddm.  Imports no torch."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_plugin_example.options import DitOptions, RobustOptions, check_dit


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare both components; dddm imports their modules when a recipe uses them."""
    registrar.add(
        Kind.BACKBONE,
        "dit",
        target="dddm_plugin_example.dit:Dit",
        options=DitOptions,
        check=check_dit,
        summary="A diffusion transformer (Peebles & Xie 2022) that also attends to the estimate.",
        conformance=Conformance(
            examples=(
                {"width": 16, "blocks": 3, "heads": 2, "classes": True},
                {"width": 16, "blocks": 2, "heads": 1, "estimate_from": 0, "patch": 1},
            )
        ),
    )
    registrar.add(
        Kind.METRIC,
        "robust",
        target="dddm_plugin_example.robust:Robust",
        options=RobustOptions,
        summary="Barron's general robust loss (2017): from L2 to Welsch by one number.",
        conformance=Conformance(
            examples=(
                {"alpha": 2.0, "c": 1.0},
                {"alpha": 1.0, "c": 0.0043},
                {"alpha": 0.0, "c": 0.1, "of": "pixel"},
                {"alpha": -2.0, "c": 5.0},
                {"alpha": -1e9, "c": 0.5, "of": "pixel"},
            )
        ),
    )
