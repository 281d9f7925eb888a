"""Short runs leave what they left when they were recorded, bit for bit.

A change that is meant to change no number is proved so by this test.  Where one is meant to,
`python tests/toys/recorded_runs.py --out tests/recorded/recorded.json` records the new ones.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import environment
from recorded_runs import RUNS, machine

HERE = Path(__file__).parent
RECORDED: dict[str, Any] = json.loads((HERE / "recorded.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The hashes of today's runs, by the script, whose process no other test has touched."""
    here = machine()
    if here != RECORDED["machine"]:
        pytest.skip(f"recorded on {RECORDED['machine']}, and this is {here}: last bits may differ")
    out = tmp_path_factory.mktemp("recorded") / "found.json"
    script = HERE.parent / "toys" / "recorded_runs.py"
    done = subprocess.run(
        [sys.executable, str(script), "--out", str(out)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    hashes: dict[str, dict[str, str]] = json.loads(out.read_text(encoding="utf-8"))["runs"]
    return hashes


def test_every_run_is_recorded() -> None:
    """No run was added without its hashes."""
    assert list(RECORDED["runs"]) == [make.__name__ for make in RUNS]


@pytest.mark.parametrize("name", RECORDED["runs"])
def test_a_run_leaves_what_it_left(name: str, found: dict[str, dict[str, str]]) -> None:
    """Losses, weights, moments, averages, estimates and samples have the recorded hashes."""
    assert found[name] == RECORDED["runs"][name]
