"""A terminal that is closed during a run: the run saves, as it does after Ctrl-C."""

import os
import pty
import select
import signal
import sys
import threading
from pathlib import Path

import pytest
from command_line import command, dddm, environment, succeeded
from several import losses_of, steps_of, wait_until, write_shared

LONG = ("epochs = 3", "epochs = 8")
NO_SAMPLES = ("--set", "sample=[]")


def run_in_terminal(folder: Path, *words: str, until_step: int) -> int:
    """The exit code of a command whose terminal is closed after so many steps."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(sys.executable, command(*words), environment())  # noqa: S606 - no shell is meant

    closing = threading.Event()

    def read() -> None:
        # A read under way would keep the terminal open beyond its close.
        while not closing.is_set():
            if select.select([terminal], [], [], 0.05)[0]:
                os.read(terminal, 4096)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_until(lambda: len(steps_of(folder / "run")) >= until_step)
        closing.set()
        reader.join()
        os.close(terminal)
        ended = os.waitpid(process, 0)[1]
    except BaseException:
        os.kill(process, signal.SIGKILL)
        raise
    return os.waitstatus_to_exitcode(ended)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_closed_terminal_loses_nothing(tmp_path: Path, processes: int) -> None:
    """The step is finished and saved, exit code 75; the same command resumes after that step."""
    write_shared(tmp_path, LONG)
    words = ["run", "tiny.toml", "--folder", "run", *NO_SAMPLES]
    words += [] if processes == 1 else ["--nproc", str(processes)]
    assert run_in_terminal(tmp_path, *words, until_step=7) == 75
    done = len(steps_of(tmp_path / "run"))
    saved = max((tmp_path / "run" / "checkpoints").glob("step-*")).name
    assert saved == f"step-{done:08d}"
    succeeded(dddm(*words, cwd=tmp_path))
    assert len(losses_of(tmp_path / "run")) == 40
