"""Built-in target stores: a precision and a place, one of which is in the name."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_stores.options import RELATIVE_ERRORS, PlaceOptions, PrecisionOptions

_PLACES = tuple({"place": place} for place in ("ram", "mmap", "device"))
_BY_PLACE = Conformance(
    examples=tuple({"precision": precision} for precision in RELATIVE_ERRORS),
    relative_error=lambda options: RELATIVE_ERRORS[options.precision],
)


def _by_precision(precision: str) -> Conformance:
    return Conformance(examples=_PLACES, relative_error=RELATIVE_ERRORS[precision])


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in target stores."""
    registrar.add(
        Kind.TARGET_STORE,
        "ram",
        target="dddm_stores.store:ram",
        options=PlaceOptions,
        summary="Main memory; float32 unless said otherwise.",
        conformance=_BY_PLACE,
    )
    registrar.add(
        Kind.TARGET_STORE,
        "mmap",
        target="dddm_stores.store:mmap",
        options=PlaceOptions,
        summary="Memory-mapped files in the run folder, which checkpoints do not copy.",
        conformance=_BY_PLACE,
    )
    registrar.add(
        Kind.TARGET_STORE,
        "device",
        target="dddm_stores.store:device",
        options=PlaceOptions,
        summary="The GPU's own memory.",
        conformance=_BY_PLACE,
    )
    registrar.add(
        Kind.TARGET_STORE,
        "fp16",
        target="dddm_stores.store:fp16",
        options=PrecisionOptions,
        summary="float16: 2 bytes a number, to 2⁻¹¹ of it; in main memory unless said otherwise.",
        conformance=_by_precision("float16"),
    )
    registrar.add(
        Kind.TARGET_STORE,
        "bf16",
        target="dddm_stores.store:bf16",
        options=PrecisionOptions,
        summary="bfloat16: 2 bytes a number, to 2⁻⁸ of it; in main memory unless said otherwise.",
        conformance=_by_precision("bfloat16"),
    )
    registrar.add(
        Kind.TARGET_STORE,
        "int8",
        target="dddm_stores.store:int8",
        options=PrecisionOptions,
        summary="8 bits a number with a scale for each image, to 1/254 of its largest number.",
        conformance=_by_precision("int8"),
    )
