"""One run at a time in a folder; the lock goes with its process, however that ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dddm.errors import EnvironmentProblem
from dddm.train.run_folder import locked

HOLD = """
import sys, time
from pathlib import Path
from dddm.train.run_folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    """Named with its folder and what to do; free again after the block."""
    with locked(tmp_path):
        another = pytest.raises(EnvironmentProblem, match="another run is using")
        with another as refused, locked(tmp_path):
            pass
        assert str(tmp_path) in str(refused.value.where)
    with locked(tmp_path):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """Nobody has to remove a file by hand."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(EnvironmentProblem), locked(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with locked(tmp_path):
        pass
