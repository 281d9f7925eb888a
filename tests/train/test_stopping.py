"""How a run is asked to stop."""

import os
import signal
import subprocess
import sys

import pytest

from dddm.errors import StoppedEarly
from dddm.train.stopping import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_only_asks(number: signal.Signals) -> None:
    """A signal is noted, obeyed where the run looks, and the handlers return afterwards."""
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        stop.raise_if_requested(where="nowhere")
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(StoppedEarly) as caught:
            stop.raise_if_requested(where="step 3")
    assert caught.value.exit_code == 75
    assert number.name in str(caught.value)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process(number: signal.Signals) -> None:
    """Who asks twice does not want to wait for the saving: the process dies of the signal."""
    code = (
        "import os, signal\n"
        "from dddm.train.stopping import stop_on_signals\n"
        "with stop_on_signals(same_request_seconds=0.0):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -number
    assert "still here" not in done.stdout


def test_one_request_that_comes_twice_is_one() -> None:
    """SLURM signals the workers, and torchrun, which passes it on to them."""
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested_by == "SIGTERM"


def test_a_signal_after_another_request_only_asks() -> None:
    """Who presses Ctrl-C while a run stops by itself does not end it at once."""
    with stop_on_signals(same_request_seconds=0.0) as stop:
        stop.request("observer toy:eye")
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested_by == "observer toy:eye"
