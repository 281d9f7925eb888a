"""Built-in target stores."""

from dddm.interfaces.plugin import Kind, Registrar, hookimpl


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in target stores."""
    registrar.add(
        Kind.TARGET_STORE,
        "ram",
        target="dddm_stores.ram:RamStore",
        summary="Main memory, float32: 4 bytes a number; kept by checkpoints alone.",
    )
