"""A transformer and a robust loss for dddm.  Imports no torch."""

from dddm.interfaces.plugin import Kind, Registrar, hookimpl
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
    )
    registrar.add(
        Kind.METRIC,
        "robust",
        target="dddm_plugin_example.robust:Robust",
        options=RobustOptions,
        summary="Barron's general robust loss (2017): from L2 to Welsch by one number.",
    )
