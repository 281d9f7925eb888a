"""Built-in data sets."""

from dddm.interfaces.plugin import Kind, Registrar, hookimpl
from dddm_datasets.descriptions import describe_cifar10, describe_digits
from dddm_datasets.options import Cifar10Options


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
    registrar.add(
        Kind.DATASET,
        "cifar10",
        target="dddm_datasets.file_backed:cifar10",
        options=Cifar10Options,
        summary="CIFAR-10's 60,000 photographs, 32×32, from its canonical python batches.",
        describe=describe_cifar10,
    )
