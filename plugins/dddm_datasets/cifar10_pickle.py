"""Values of CIFAR-10's batches, which are pickles, without unpickling them.  Imports no torch.

A pickle is a program for a stack machine that can call any function.  The batches were written in
2009 by Python 2 and need 22 of its instructions; the two calls among them rebuild an array and the
type of its items, which are recognized here and made from their bytes.  Nothing is imported,
nothing is called, and no attribute is set, whatever the file holds.
"""

import pickletools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, final

import numpy as np
from attrs import frozen

from dddm.errors import DataError

_MARK: Final = object()


@final
@frozen
class _Named:
    """A function or class that the file names, which is never imported."""

    name: str


_ARRAY: Final = _Named("numpy.core.multiarray _reconstruct")
_TYPE: Final = _Named("numpy dtype")
_CALLS: Final = {_ARRAY: (_Named("numpy ndarray"), (0,), "b"), _TYPE: ("u1", 0, 1)}
"""What is called, and its only arguments: an empty array, and unsigned bytes."""


_IGNORED: Final = ("PROTO", "BINPUT", "LONG_BINPUT", "STOP")
"""No value of a batch is referred to again, so that nothing needs to be remembered."""


def _itself(argument: Any) -> Any:
    return argument


_PUSHES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "NONE": _itself,
    "NEWFALSE": lambda _: False,
    "BININT": _itself,
    "BININT1": _itself,
    "BININT2": _itself,
    "BINSTRING": _itself,
    "SHORT_BINSTRING": _itself,
    "GLOBAL": _Named,
    "MARK": lambda _: _MARK,
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
}
"""Instructions that put one value on the stack, made from their argument."""


def read_values(data: bytes, *, where: str) -> Any:
    """The dictionary that a batch holds, with strings of Python 2 read as Latin-1.

    Raises:
        DataError: if it is damaged, or needs anything that no batch does; nothing is run.
    """
    stack: list[Any] = []
    try:
        for instruction, argument, _ in pickletools.genops(data):
            if instruction.name in _PUSHES:
                stack.append(_PUSHES[instruction.name](argument))
            elif instruction.name not in _IGNORED:
                _STEPS[instruction.name](stack)
        (value,) = stack
    except Exception as error:  # whatever is not in its place
        raise DataError(
            f"this pickle cannot be read: {error!r}; nothing of it was run",
            where=where,
            remedy="get the file from its publisher",
        ) from error
    return value


def _append(stack: list[Any]) -> None:
    items = _since_mark(stack)
    _of(list, stack[-1]).extend(items)


def _set_items(stack: list[Any]) -> None:
    items = _since_mark(stack)
    _of(dict, stack[-1]).update(zip(items[::2], items[1::2], strict=True))


def _tuple(stack: list[Any]) -> None:
    stack.append(tuple(_since_mark(stack)))


def _tuple_of(length: int, stack: list[Any]) -> None:
    stack[-length:] = [tuple(stack[-length:])]


def _call(stack: list[Any]) -> None:
    arguments, called = stack.pop(), stack.pop()
    if _CALLS.get(called) != arguments:
        raise ValueError(f"it asks to call {called} with {str(arguments)[:50]}")
    stack.append(called)  # stands for what it would return, until that is filled


def _fill(stack: list[Any]) -> None:
    state = _of(tuple, stack.pop())
    if stack[-1] == _ARRAY:
        stack[-1] = _array(*state)
    elif stack[-1] != _TYPE:
        raise ValueError(f"it asks to change {str(stack[-1])[:50]}")


def _array(version: Any, shape: Any, kind: Any, by_columns: Any, data: Any) -> Any:
    if (version, kind, by_columns) != (1, _TYPE, False):
        raise ValueError("it holds an array that is not one of unsigned bytes in C order")
    if any(_of(int, length) < 0 for length in _of(tuple, shape)):
        raise ValueError(f"it holds an array of shape {shape}")
    return np.frombuffer(_of(str, data).encode("latin-1"), np.uint8).reshape(shape)


def _since_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _of(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} in place of {kind.__name__}")
    return value


_STEPS: Final[Mapping[str, Callable[[list[Any]], None]]] = {
    "APPENDS": _append,
    "SETITEMS": _set_items,
    "TUPLE": _tuple,
    "TUPLE1": partial(_tuple_of, 1),
    "TUPLE2": partial(_tuple_of, 2),
    "TUPLE3": partial(_tuple_of, 3),
    "REDUCE": _call,
    "BUILD": _fill,
}
