"""A plugin is loaded as a guest: what it does to the process is put back, and remembered.

What no one can put back, such as an end of the process from C, is not covered.
"""

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from types import FrameType
from typing import Any, Final, final

_STDOUT: Final = 1
_STDERR: Final = 2


@final
class Guest:
    """What a plugin did while it was loaded.

    Attributes:
        remarks: what its author should know of, such as `imports torch`.
        interrupted: whether Ctrl-C was pressed meanwhile.
    """

    def __init__(self) -> None:
        self.remarks: list[str] = []
        self.interrupted = False


@contextmanager
def as_guest() -> Iterator[Guest]:
    """Within the block a plugin may be loaded; what it raises is to be caught in there."""
    guest = Guest()
    had_torch = "torch" in sys.modules
    with ExitStack() as stack:
        for put_back in (_output, _folder, _warning_filters, _log, _signals, _threads):
            stack.enter_context(put_back(guest))
        yield guest
    if not had_torch and "torch" in sys.modules:
        guest.remarks.insert(0, "imports torch")


@contextmanager
def _output(guest: Guest) -> Iterator[None]:
    """What goes to stdout, also past Python's own, comes out of stderr: results stay readable."""
    del guest
    errors = sys.stderr
    with ExitStack() as stack:
        with contextlib.suppress(OSError):  # where one of the two is closed
            stack.enter_context(_descriptor_to_stderr())
        with redirect_stdout(sys.stderr):
            yield
    sys.stderr = errors


@contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    kept = os.dup(_STDOUT)
    try:
        _flush()
        os.dup2(_STDERR, _STDOUT)
        yield
    finally:
        _flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _flush() -> None:
    if sys.__stdout__ is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.__stdout__.flush()


@contextmanager
def _folder(guest: Guest) -> Iterator[None]:
    """Relative paths lead where they led before."""
    before = _current_folder()
    yield
    if before is not None and _current_folder() != before:
        os.chdir(before)
        guest.remarks.append("changes the current folder")


def _current_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a text is all that is compared
    except OSError:
        return None


@contextmanager
def _warning_filters(guest: Guest) -> Iterator[None]:
    """Warnings are shown, hidden or raised as before."""
    before = list(warnings.filters)
    with warnings.catch_warnings():
        yield
        if list(warnings.filters) != before:
            guest.remarks.append("leaves a filter for warnings")


@contextmanager
def _log(guest: Guest) -> Iterator[None]:
    """The root of Python's logging has the handlers and the level that it had."""
    before = _log_state() or ([], 30, 0)  # as Python makes it: no handler, WARNING, nothing off
    yield
    after = _log_state()
    if after is not None and after != before:
        root: Any = sys.modules["logging"].root
        root.handlers[:], level, root.manager.disable = before
        root.setLevel(level)
        guest.remarks.append("changes the root of logging")


def _log_state() -> tuple[list[Any], int, int] | None:
    logging = sys.modules.get("logging")
    if logging is None:
        return None
    return (list(logging.root.handlers), logging.root.level, logging.root.manager.disable)


@contextmanager
def _signals(guest: Guest) -> Iterator[None]:
    """Ctrl-C is told apart from a KeyboardInterrupt of the plugin's, and does what it did."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = dict(before)
    if before[signal.SIGINT] is signal.default_int_handler:

        def hear(number: int, frame: FrameType | None) -> None:
            del number, frame
            guest.interrupted = True
            raise KeyboardInterrupt

        ours[signal.SIGINT] = hear
        signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        if {number: signal.getsignal(number) for number in ours} != ours:
            guest.remarks.append("takes over Ctrl-C or SIGTERM")
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextmanager
def _threads(guest: Guest) -> Iterator[None]:
    """A thread that it starts does not keep the command from ending."""
    start = threading.Thread.start

    def start_daemon(self: threading.Thread) -> None:
        self.daemon = True
        guest.remarks.append("starts a thread")
        start(self)

    threading.Thread.start = start_daemon  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
