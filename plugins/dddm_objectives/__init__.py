"""Built-in training objectives."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_objectives.options import (
    ConsistencyOptions,
    DenoisingOptions,
    DirectlyDenoisingOptions,
    EnergyScoreOptions,
    FlowMatchingOptions,
    MeanFlowOptions,
    check_consistency,
    check_mean_flow,
    describe_consistency,
    describe_denoising,
    describe_directly_denoising,
    describe_energy_score,
    describe_flow_matching,
    describe_mean_flow,
)
from dddm_objectives.set_options import (
    DirectlyDriftingOptions,
    DriftingOptions,
    check_drifting,
    describe_directly_drifting,
    describe_drifting,
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
        "denoising",
        target="dddm_objectives.denoising:Denoising",
        options=DenoisingOptions,
        describe=describe_denoising,
        summary="DDPM and EDM: the distance of the estimate from the image, weighted by time.",
        conformance=Conformance(
            examples=(
                {},
                {"weight": "noise"},
                {"weight": "v", "self_conditioning": 0.5},
                {"weight": "uniform"},
            )
        ),
    )
    registrar.add(
        Kind.OBJECTIVE,
        "flow-matching",
        target="dddm_objectives.flow_matching:FlowMatching",
        options=FlowMatchingOptions,
        describe=describe_flow_matching,
        summary="Rectified flow: the squared error of the velocity (Liu et al. 2022).",
        conformance=Conformance(examples=({}, {"self_conditioning": 0.5})),
    )
    registrar.add(
        Kind.OBJECTIVE,
        "consistency",
        target="dddm_objectives.consistency:Consistency",
        options=ConsistencyOptions,
        check=check_consistency,
        describe=describe_consistency,
        summary="Consistency training: CT, iCT and ECT (Song et al. 2023, Geng et al. 2024).",
        conformance=Conformance(
            examples=(
                {"last_steps": 40},
                {"pairs": "ratio", "halvings": 3},
                {
                    "last_steps": 20,
                    "times": "uniform",
                    "weight": "uniform",
                    "averaged_teacher": True,
                },
            )
        ),
    )
    registrar.add(
        Kind.OBJECTIVE,
        "mean-flow",
        target="dddm_objectives.mean_flow:MeanFlow",
        options=MeanFlowOptions,
        check=check_mean_flow,
        describe=describe_mean_flow,
        summary="Average velocities for one step, by a forward-mode derivative (Geng et al. 2025).",
        conformance=Conformance(examples=({}, {"equal_share": 0.75, "power": 1.0})),
    )
    registrar.add(
        Kind.OBJECTIVE,
        "energy-score",
        target="dddm_objectives.energy_score:EnergyScore",
        options=EnergyScoreOptions,
        describe=describe_energy_score,
        summary="Samples of x_0 given x_t, by a scoring rule (De Bortoli et al. 2025).",
        conformance=Conformance(examples=({}, {"latents": 3, "beta": 0.5})),
    )
    registrar.add(
        Kind.OBJECTIVE,
        "drifting",
        target="dddm_objectives.drifting:Drifting",
        options=DriftingOptions,
        check=check_drifting,
        describe=describe_drifting,
        summary="One-step generation by comparing sets (Deng et al. 2026).",
        conformance=Conformance(
            examples=(
                {"rows": 4, "real": 6, "patch_sizes": [3]},
                {
                    "rows": 4,
                    "real": 6,
                    "patches": 0.0,
                    "pixel_windows": [1, 2],
                    "patch_sizes": [3],
                    "contrast": 0.5,
                    "statistics": 2.0,
                    "places": 3,
                    "features": {"use": "pixels-8x8"},
                },
                {"rows": 4, "real": 6, "features": {"use": "learned", "epochs": 1}},
            )
        ),
    )
    registrar.add(
        Kind.OBJECTIVE,
        "directly-drifting",
        target="dddm_objectives.directly_drifting:DirectlyDrifting",
        options=DirectlyDriftingOptions,
        check=check_drifting,
        describe=describe_directly_drifting,
        summary="Drifting over chains of algorithm 2, kept in a store; not from a paper.",
        conformance=Conformance(
            examples=(
                {"rows": 4, "real": 6, "patch_sizes": [3]},
                {"rows": 5, "real": 6, "patches": 0.0, "restart": 0.5},
            )
        ),
    )
