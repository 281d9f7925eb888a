"""Built-in schedules."""

from dddm.interfaces.plugin import Kind, Registrar, hookimpl
from dddm_schedules.options import CosineOptions, LinearOptions, check_linear


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in schedules."""
    registrar.add(
        Kind.SCHEDULE,
        "vp",
        target="dddm_schedules.linear:linear",
        options=LinearOptions,
        check=check_linear,
        summary="Variance preserving with linear β; the paper's.",
    )
    registrar.add(
        Kind.SCHEDULE,
        "vp-cosine",
        target="dddm_schedules.cosine:cosine",
        options=CosineOptions,
        summary="Variance preserving with the cosine ᾱ of Nichol & Dhariwal (2021).",
    )
