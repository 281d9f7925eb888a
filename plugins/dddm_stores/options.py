"""Options of the built-in target stores.  Imports no torch."""

from typing import Final, Literal, final

from attrs import frozen

from dddm.interfaces.plugin import option

RELATIVE_ERRORS: Final = {"float32": 0.0, "float16": 2**-11, "bfloat16": 2**-8, "int8": 1 / 254}
"""By how much a number may be off, as a share of its image's largest, for each precision."""

_PRECISION_HELP: Final = (
    "What an estimate is kept in: float32 exactly; float16 to 2⁻¹¹ of each number; bfloat16 to "
    "2⁻⁸; int8 to 1/254 of the image's largest number."
)
_PLACE_HELP: Final = (
    "Where estimates are kept: ram, main memory; mmap, files in the run folder; device, GPU memory."
)


@final
@frozen(kw_only=True)
class PlaceOptions:
    """Options of `ram` and `device`, whose names say the place."""

    precision: Literal["float32", "float16", "bfloat16", "int8"] = option(
        "float32", help=_PRECISION_HELP
    )


@final
@frozen(kw_only=True)
class MmapOptions:
    """Options of `mmap`."""

    precision: Literal["float32", "float16", "bfloat16", "int8"] = option(
        "float32", help=_PRECISION_HELP
    )
    folder: str | None = option(
        None,
        help="A folder on a disk of each machine, in which this run gets one of its own; by "
        "default the files are in the run folder.  A run is resumed only where its files are.",
    )


@final
@frozen(kw_only=True)
class PrecisionOptions:
    """Options of `fp16`, `bf16` and `int8`, whose names say the precision."""

    place: Literal["ram", "mmap", "device"] = option("ram", help=_PLACE_HELP)
