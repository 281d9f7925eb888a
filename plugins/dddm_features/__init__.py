"""Built-in features."""

from dddm.interfaces.plugin import Registrar, hookimpl


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in features."""
