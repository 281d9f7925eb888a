"""The one hook that a plugin implements."""

import pluggy

from dddm.interfaces.plugin import Registrar

hookspec = pluggy.HookspecMarker("dddm")


@hookspec
def dddm_register(registrar: Registrar) -> None:
    """Declare the plugin's components.

    Called once, when the catalogue is made.  Must import no torch and print nothing.

    Args:
        registrar: takes the declarations.
    """
