"""Pickles of arrays are read; whatever else a pickle asks for is refused before it is called."""

import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dddm.errors import DataError
from dddm_datasets.restricted_pickle import load_restricted


class Calling:
    """A value whose pickle calls a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_values_and_arrays_come_back(protocol: int) -> None:
    """As they are in CIFAR-10's batches: a table of bytes, lists, strings and an array."""
    value: dict[str, Any] = {
        "data": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "labels": [1, 2],
        "name": b"a",
    }
    found = load_restricted(pickle.dumps(value, protocol), where="here")
    assert np.array_equal(found["data"], value["data"])
    assert (found["labels"], found["name"]) == ([1, 2], b"a")


def test_strings_of_python_2_are_read() -> None:
    """The published batches were written by it."""
    assert load_restricted(b"\x80\x02}U\x04dataU\x02a\xe9s.", where="here") == {"data": "aé"}


@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "posix.system"), (subprocess.Popen, "subprocess.Popen"), (eval, "builtins.eval")],
)
def test_code_is_not_run(tmp_path: Path, function: Any, name: str) -> None:
    """The error says what the pickle wanted, and it did not get it."""
    touched = tmp_path / "touched"
    data = pickle.dumps({"data": Calling(function, f"touch {touched}")})
    with pytest.raises(DataError, match=f"asks to run {name}") as refused:
        load_restricted(data, where="batch")
    assert refused.value.where == "batch"
    assert not touched.exists()


def test_encode_knows_one_encoding() -> None:
    """What stores bytes in old pickles cannot be asked for other codecs."""
    import _codecs

    data = pickle.dumps(Calling(_codecs.encode, "abc", "rot13"))
    with pytest.raises(DataError, match="cannot be read"):
        load_restricted(data, where="here")
    fine = pickle.dumps(Calling(_codecs.encode, "abc", "latin1"))
    assert load_restricted(fine, where="here") == b"abc"


@pytest.mark.parametrize("data", [b"", b"\x80\x05", b"nonsense", b"\x80\x02}U\x04da"])
def test_damage_is_an_error_of_the_data(data: bytes) -> None:
    """Not a traceback."""
    with pytest.raises(DataError, match="cannot be read"):
        load_restricted(data, where="here")
