"""Work on chunks: in this process or in others, stopped when somebody asks, and never orphaned."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chunk_work import process_of, vanish

from dddm.data.source import Chunk
from dddm.data.workers import ImageCounter, map_chunks
from dddm.errors import EnvironmentProblem
from dddm.interfaces.data_report import no_progress


def chunks(count: int) -> dict[int, Chunk]:
    return {number: Chunk(images=2, payload=number) for number in range(count)}


def test_few_chunks_are_done_here() -> None:
    counter = ImageCounter("working", 10, no_progress)
    assert dict(map_chunks(process_of, chunks(5), workers=4, counter=counter)) == dict.fromkeys(
        range(5), os.getpid()
    )
    assert counter.done == 10


def test_many_chunks_are_done_elsewhere() -> None:
    counter = ImageCounter("working", 48, no_progress, done=8)
    found = dict(map_chunks(process_of, chunks(20), workers=2, counter=counter))
    assert sorted(found) == list(range(20))
    assert os.getpid() not in found.values()
    assert counter.done == 48


def test_a_killed_worker_is_an_error_of_the_machine() -> None:
    with pytest.raises(EnvironmentProblem, match="ended before its images were done") as refused:
        list(map_chunks(vanish, chunks(20), workers=2, counter=ImageCounter("", 0, no_progress)))
    assert "--workers 1" in str(refused.value.remedy)


def test_a_script_is_not_run_again_in_workers(tmp_path: Path) -> None:
    """Also one that does not ask whether it is the main module, as scripts of users do not."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('began')\n"
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1] / 'toys')!r})\n"
        "from chunk_work import process_of\n"
        "from dddm.interfaces.data_report import no_progress\n"
        "from dddm.data.source import Chunk\n"
        "from dddm.data.workers import ImageCounter, map_chunks\n"
        "chunks = {k: Chunk(images=1, payload=None) for k in range(20)}\n"
        "counter = ImageCounter('', 20, no_progress)\n"
        "found = dict(map_chunks(process_of, chunks, workers=2, counter=counter))\n"
        "print(len(found), sys.modules['__main__'].__file__ == __file__)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "began\n20 True\n"


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from dddm.interfaces.data_report import no_progress\n"
        "from dddm.data.source import Chunk\n"
        "from dddm.data.workers import ImageCounter, map_chunks\n"
        "def work(chunk, count):\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    chunks = {k: Chunk(images=1, payload=None) for k in range(20)}\n"
        "    list(map_chunks(work, chunks, workers=2, counter=ImageCounter('', 20, no_progress)))\n"
    )
    parent = subprocess.Popen([sys.executable, script])
    worker = int(_when_written(tmp_path / "pid"))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(100):
        if not Path(f"/proc/{worker}").exists() or _is_dead(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("a worker outlived its parent")


def _when_written(path: Path) -> str:
    for _ in range(300):
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.1)
    pytest.fail("no worker began")


def _is_dead(process: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
