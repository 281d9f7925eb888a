"""How a run is asked to stop."""

import os
import signal
import subprocess
import sys

import pytest

from dddm.errors import StoppedEarly
from dddm.training.stopping import stop_on_signals

SIGNALS = [
    number
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if signal.getsignal(number) is not signal.SIG_IGN  # as under nohup, which runs respect
]


@pytest.mark.parametrize("number", SIGNALS)
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


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_ends_the_process(number: signal.Signals) -> None:
    """Who asks twice does not want to wait for the saving: the process dies of the signal."""
    code = (
        "import os, signal\n"
        "from dddm.training.stopping import stop_on_signals\n"
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


def signalled(*numbers: signal.Signals, pause: float, **variables: str) -> tuple[int, str]:
    """Exit code and stderr of a process that gets these signals, one after the other."""
    code = (
        "import os, sys, time\n"
        "from dddm.training.stopping import stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        f"    for number in {[int(number) for number in numbers]}:\n"
        "        os.kill(os.getpid(), number)\n"
        "        print('alive', file=sys.stderr, flush=True)\n"
        f"        time.sleep({pause})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    return done.returncode, done.stderr


def test_a_request_is_answered_before_it_is_obeyed() -> None:
    """A step may take long: what happens next is said at once, with what a second signal does."""
    code, told = signalled(signal.SIGINT, pause=0)
    assert code == 0
    assert told.startswith("SIGINT: finishing this step, then saving; Ctrl-C again stops at once")
    assert told.endswith("alive\n")


def test_the_first_process_alone_answers() -> None:
    """Eight processes get the signal; a person reads the sentence once."""
    first = signalled(signal.SIGTERM, pause=0, RANK="0", WORLD_SIZE="2")[1]
    assert first.startswith("SIGTERM: finishing this step")
    assert signalled(signal.SIGTERM, pause=0, RANK="1", WORLD_SIZE="2")[1] == "alive\n"


def test_who_presses_ctrl_c_again_after_a_moment_is_obeyed() -> None:
    """In a run of one process nobody but a person sends it; a worker may get one request twice."""
    assert signalled(signal.SIGINT, signal.SIGINT, pause=0.5)[0] == -signal.SIGINT
    alone = signalled(signal.SIGINT, signal.SIGINT, pause=0.0)
    worker = signalled(signal.SIGINT, signal.SIGINT, pause=0.5, RANK="0", WORLD_SIZE="2")
    assert alone[0] == worker[0] == 0


def test_nohup_is_respected() -> None:
    """A run that was started to outlive its terminal does."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from dddm.training.stopping import stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    assert not stop.requested\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_signal_after_another_request_only_asks() -> None:
    """Who presses Ctrl-C while a run stops by itself does not end it at once."""
    with stop_on_signals(same_request_seconds=0.0) as stop:
        stop.request("observer toy:eye")
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested_by == "observer toy:eye"
