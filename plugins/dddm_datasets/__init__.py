"""Built-in data sets."""

from dddm.interfaces.facts import DataFacts, ImageShape
from dddm.interfaces.plugin import Kind, NoOptions, Registrar, hookimpl


def describe_digits(options: NoOptions) -> DataFacts:
    """What is known of the digits without reading them; a test holds it equal to what is read."""
    del options
    return DataFacts(
        shape=ImageShape(channels=1, height=8, width=8),
        train_images=1500,
        classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    )


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in data sets."""
    registrar.add(
        Kind.DATASET,
        "digits",
        target="dddm_datasets.digits:Digits",
        summary="scikit-learn's 1,797 handwritten digits, 8×8, grey; needs no download.",
        describe=describe_digits,
    )
