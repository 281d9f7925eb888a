"""Built-in samplers."""

from dddm.interfaces.plugin import Registrar, hookimpl


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in samplers."""
