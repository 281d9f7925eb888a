"""Built-in backbones."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_backbones.options import (
    AdmOptions,
    DecoderOptions,
    check_adm,
    check_decoder,
    describe_adm,
    describe_decoder,
)

_SMALL = {"channels": 4, "multipliers": [1, 2], "blocks": 1, "attention": [4], "head_width": 4}


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    registrar.add(
        Kind.BACKBONE,
        "adm",
        target="dddm_backbones.adm:Adm",
        options=AdmOptions,
        check=check_adm,
        describe=describe_adm,
        summary="The U-Net of Dhariwal & Nichol (2021), which the estimate enters.",
        conformance=Conformance(
            examples=(
                {**_SMALL, "classes": True},
                {**_SMALL, "estimate": "cross-attention", "updown_blocks": True},
                {**_SMALL, "estimate": "transformer", "scale_shift_norm": False, "heads": 2},
                {**_SMALL, "estimate": "concatenation", "attention": [], "channels_last": True},
                {
                    **_SMALL,
                    "estimate": "none",
                    "second_time": True,
                    "classes": True,
                    "dropout": 0.2,
                    "checkpointing": True,
                },
            ),
        ),
    )
    registrar.add(
        Kind.BACKBONE,
        "decoder",
        target="dddm_backbones.decoder:Decoder",
        options=DecoderOptions,
        check=check_decoder,
        describe=describe_decoder,
        summary="A small generator from noise and class, for objectives that train at T alone.",
        conformance=Conformance(
            examples=(
                {"widths": [16, 8], "latent": 6, "classes": True},
                {"widths": [8], "latent": 64, "blocks": 2},
            ),
        ),
    )
