"""What a plugin does to the process while it loads is put back, and remembered."""

import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import pytest

from dddm.registry.guest import as_guest


def test_a_polite_guest_leaves_no_remark() -> None:
    """Nothing is remembered of one that does nothing, and nothing is changed."""
    with as_guest() as guest:
        pass
    assert guest.remarks == []
    assert not guest.interrupted


def test_output_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """Through Python's stdout, past it, and from another program; and only within the block."""
    sys.stdout.write("before\n")
    sys.stdout.flush()
    with as_guest():
        sys.stdout.write("python\n")
        os.write(1, b"system\n")
        os.system("echo program")  # noqa: S605 - it is ours
    sys.stdout.write("after\n")
    out, err = capfd.readouterr()
    assert out.split() == ["before", "after"]
    assert {"python", "system", "program"} <= set(err.split())


def test_the_current_folder_is_put_back(tmp_path: Path) -> None:
    """Relative paths of the user lead where they led."""
    before = Path.cwd()
    with as_guest() as guest:
        os.chdir(tmp_path)
    assert Path.cwd() == before
    assert guest.remarks == ["changes the current folder"]


def test_filters_of_warnings_are_put_back() -> None:
    """A plugin cannot turn the warnings of others into errors, nor hide them."""
    before = list(warnings.filters)
    with as_guest() as guest:
        warnings.simplefilter("ignore")
    assert list(warnings.filters) == before
    assert guest.remarks == ["leaves a filter for warnings"]


def test_the_root_of_logging_is_put_back() -> None:
    """Handlers, level, and what was switched off."""
    root = logging.root
    before = (list(root.handlers), root.level, root.manager.disable)
    with as_guest() as guest:
        root.addHandler(logging.StreamHandler())
        root.setLevel(1)
        logging.disable()
    assert (list(root.handlers), root.level, root.manager.disable) == before
    assert guest.remarks == ["changes the root of logging"]


def test_ctrl_c_is_told_from_a_guests_own() -> None:
    """A signal is remembered even where its exception was caught; a raised one is no signal."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with as_guest() as guest, pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert guest.interrupted
        with as_guest() as guest, pytest.raises(KeyboardInterrupt):
            raise KeyboardInterrupt
        assert not guest.interrupted
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_of_signals_are_put_back() -> None:
    """Who stops a run is heard whatever a plugin listens to."""
    before = signal.getsignal(signal.SIGTERM)
    with as_guest() as guest:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == before
    assert guest.remarks == ["takes over Ctrl-C or SIGTERM"]


def test_a_thread_does_not_keep_the_program() -> None:
    """One that is started within the block ends with the program; later ones are as they ask."""
    end = threading.Event()
    with as_guest() as guest:
        inside = threading.Thread(target=end.wait)
        inside.start()
    outside = threading.Thread(target=end.wait)
    outside.start()
    assert (inside.daemon, outside.daemon) == (True, False)
    assert guest.remarks == ["starts a thread"]
    end.set()
    inside.join()
    outside.join()


def test_it_works_in_another_thread_too() -> None:
    """Where no handler can be set, nothing is tried."""
    remarks: list[list[str]] = []

    def load() -> None:
        with as_guest() as guest:
            pass
        remarks.append(guest.remarks)

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert remarks == [[]]


def test_a_module_called_torch_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what listings must never wait for."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with as_guest() as guest:
        sys.modules["torch"] = sys
    assert guest.remarks == ["imports torch"]
