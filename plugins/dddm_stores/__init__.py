"""Built-in target stores: a precision and a place, one of which is in the name."""

from dddm.interfaces.plugin import Conformance, Kind, Registrar, hookimpl
from dddm_stores.options import RELATIVE_ERRORS, MmapOptions, PlaceOptions, PrecisionOptions

# Every place and every precision is tested, but not all pairs: they share all of their code.
_PRECISIONS_TESTED = {
    "ram": tuple(RELATIVE_ERRORS),
    "mmap": ("float32", "int8"),
    "device": ("float32", "bfloat16"),
}
_PLACES_TESTED = {"fp16": ("ram", "mmap"), "bf16": ("mmap",), "int8": ("ram", "device")}
_PLACES = {
    "ram": "Main memory; float32 unless said otherwise.",
    "mmap": "Memory-mapped files, in the run folder or elsewhere, which checkpoints do not copy.",
    "device": "The GPU's own memory.",
}
_PRECISIONS = {
    "fp16": (
        "float16",
        "float16: 2 bytes a number, to 2⁻¹¹ of it; in main memory unless said otherwise.",
    ),
    "bf16": (
        "bfloat16",
        "bfloat16: 2 bytes a number, to 2⁻⁸ of it; in main memory unless said otherwise.",
    ),
    "int8": (
        "int8",
        "8 bits a number with a scale for each image, to 1/254 of its largest number.",
    ),
}


@hookimpl
def dddm_register(registrar: Registrar) -> None:
    """Declare the built-in target stores."""
    for place, summary in _PLACES.items():
        registrar.add(
            Kind.TARGET_STORE,
            place,
            target=f"dddm_stores.store:{place}",
            options=MmapOptions if place == "mmap" else PlaceOptions,
            summary=summary,
            conformance=Conformance(
                examples=tuple({"precision": precision} for precision in _PRECISIONS_TESTED[place]),
                relative_error=lambda options: RELATIVE_ERRORS[options.precision],
            ),
        )
    for name, (precision, summary) in _PRECISIONS.items():
        registrar.add(
            Kind.TARGET_STORE,
            name,
            target=f"dddm_stores.store:{name}",
            options=PrecisionOptions,
            summary=summary,
            conformance=Conformance(
                examples=tuple({"place": place} for place in _PLACES_TESTED[name]),
                relative_error=RELATIVE_ERRORS[precision],
            ),
        )
