"""Commands that read, check and list do not import torch, which takes seconds."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "numpy", "sklearn", "scipy", "PIL", "jinja2", "rich"}

REPORT = """
import sys, atexit
loaded = lambda: print("LOADED", *sorted(sys.modules), file=sys.stderr)
atexit.register(loaded)
from dddm.cli.main import main
main(sys.argv[1:])
"""


def modules_of(*words: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("LOADED ")]
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "words",
    [
        ["check", "cifar10", "--no-data"],
        ["show", "digits", "--origin"],
        ["schema"],
        ["plugins", "show", "adm"],
        ["weights", "list"],
        ["plugin", "test", "--help"],
        ["plugin", "new", "--help"],
        ["run", "--help"],
        ["evaluate", "--help"],
        ["sample", "--help"],
        ["export", "--help"],
        ["push", "--help"],
        ["verify", "--help"],
    ],
    ids=" ".join,
)
def test_torch_is_not_imported(words: list[str]) -> None:
    assert not HEAVY & modules_of(*words)


def test_help_imports_no_command_and_no_plugin() -> None:
    modules = modules_of("--help")
    assert not HEAVY & modules
    assert "dddm.cli.run" not in modules
    assert "dddm.registry.loader" not in modules
    assert not {name for name in modules if name.startswith("dddm_")}


def test_each_command_is_imported_alone() -> None:
    modules = modules_of("check", "digits")
    assert {name for name in modules if name.startswith("dddm.cli.")} == {
        "dddm.cli.main", "dddm.cli.commands", "dddm.cli.options",
        "dddm.cli.check",
    }  # fmt: skip
