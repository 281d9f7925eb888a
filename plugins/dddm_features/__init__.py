"""Built-in features."""

from dddm.interfaces.plugin import Kind, Registrar, hookimpl


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in features."""
    registrar.add(
        Kind.FEATURES,
        "pixels",
        target="dddm_features.pixels:Pixels",
        summary="The pixels themselves, in [-1, 1]; images of any shape.",
    )
    registrar.add(
        Kind.FEATURES,
        "digits-classifier",
        target="dddm_features.digits_classifier:DigitsClassifier",
        summary="64 activations of a small classifier of 8×8 digits, whose weights are carried.",
    )
