"""What the names in recipes stand for: which precision, at which place."""

from typing import Final

import torch

from dddm.interfaces.target_store import TargetStore
from dddm_stores.disk import DiskPlace
from dddm_stores.memory import MemoryPlace
from dddm_stores.options import PlaceOptions, PrecisionOptions
from dddm_stores.place import Place
from dddm_stores.precision import Floating, Int8, Precision
from dddm_stores.store import RowStore

_PRECISIONS: Final[dict[str, Precision]] = {
    "float32": Floating(torch.float32),
    "float16": Floating(torch.float16),
    "bfloat16": Floating(torch.bfloat16),
    "int8": Int8(),
}


def _make(precision: str, place: str) -> TargetStore:
    places: dict[str, Place] = {
        "ram": MemoryPlace(on_device=False),
        "mmap": DiskPlace(),
        "device": MemoryPlace(on_device=True),
    }
    return RowStore(precision=_PRECISIONS[precision], place=places[place])


def ram(options: PlaceOptions) -> TargetStore:
    """A store in main memory."""
    return _make(options.precision, "ram")


def mmap(options: PlaceOptions) -> TargetStore:
    """A store in memory-mapped files."""
    return _make(options.precision, "mmap")


def device(options: PlaceOptions) -> TargetStore:
    """A store in the device's memory."""
    return _make(options.precision, "device")


def fp16(options: PrecisionOptions) -> TargetStore:
    """A store of float16."""
    return _make("float16", options.place)


def bf16(options: PrecisionOptions) -> TargetStore:
    """A store of bfloat16."""
    return _make("bfloat16", options.place)


def int8(options: PrecisionOptions) -> TargetStore:
    """A store of 8-bit numbers."""
    return _make("int8", options.place)
