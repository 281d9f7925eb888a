"""Built-in parametrizations."""

from typing import Final

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_parametrizations.options import ConsistencyOptions, EdmOptions, PlainOptions

_TIMES: Final = Conformance(
    examples=(
        {},
        {"network_time": "schedule"},
        {"network_time": "unit"},
        {"network_time": "log-sigma"},
        {"network_time": "arctan", "sigma_data": 0.75},
    )
)


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    for name, target, summary in (
        ("residual", "residual", "x_t − F, eq. 3 of the paper."),
        ("x-prediction", "x_prediction", "F predicts x_0 (Ho et al. 2020; Salimans & Ho 2022)."),
        ("noise", "noise", "F predicts the noise ε (Ho et al. 2020)."),
        ("v-prediction", "v_prediction", "F predicts a ε − s x_0 (Salimans & Ho 2022)."),
        ("velocity", "velocity", "F predicts ε − x_0, the velocity of rectified flow."),
    ):
        registrar.add(
            Kind.PARAMETRIZATION,
            name,
            target=f"dddm_parametrizations.affine:{target}",
            options=PlainOptions,
            summary=summary,
            conformance=_TIMES,
        )
    registrar.add(
        Kind.PARAMETRIZATION,
        "edm",
        target="dddm_parametrizations.affine:edm",
        options=EdmOptions,
        summary="c_skip, c_out and c_in of EDM (Karras et al. 2022), on any path.",
        conformance=_TIMES,
    )
    registrar.add(
        Kind.PARAMETRIZATION,
        "consistency",
        target="dddm_parametrizations.affine:consistency",
        options=ConsistencyOptions,
        summary="EDM's with D = x_t at the smallest noise (Song et al. 2023).",
        conformance=_TIMES,
    )
