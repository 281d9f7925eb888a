"""Options of the built-in data sets.  Imports no torch."""

from typing import final

from attrs import frozen

from dddm.interfaces.plugin import option

PACKED_HELP = (
    "Folder of the packed array, made when it is absent.  Without it: one in the cache "
    "($DDDM_CACHE, else ~/.cache/dddm), whose name changes with the files and the options."
)


@final
@frozen(kw_only=True)
class Cifar10Options:
    """Where CIFAR-10 is."""

    path: str | None = option(
        None,
        help="Folder of the python batches, or the one that holds cifar-10-batches-py.  Without "
        "it: $DDDM_DATA, then ./data.",
    )
    packed: str | None = option(None, help=PACKED_HELP)
    train_images: int | None = option(
        None,
        at_least=1,
        at_most=50_000,
        help="Train on so many images only, the first of every class alike; samples are then "
        "compared with these.  Without it: all 50,000.",
    )
