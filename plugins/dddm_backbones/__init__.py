"""Built-in backbones."""

from dddm.interfaces.plugin import Kind, Registrar, hookimpl
from dddm_backbones.options import AdmOptions, check_adm


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in backbones."""
    registrar.add(
        Kind.BACKBONE,
        "adm",
        target="dddm_backbones.adm:Adm",
        options=AdmOptions,
        check=check_adm,
        summary="The U-Net of Dhariwal & Nichol (2021), into which the estimate enters.",
    )
