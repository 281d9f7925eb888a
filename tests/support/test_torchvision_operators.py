"""torchvision can be imported even where its compiled operators did not load."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from dddm.errors import EnvironmentProblem
from dddm.support.torchvision_operators import import_torchvision

# As torchvision does when its compiled part does not fit: it describes operators that are missing.
UNFIT = """
import torch
for name in ("nms", "qnms"):
    torch.library.register_fake(f"torchvision::{name}")(lambda dets, scores, threshold: dets)
"""

# The same, about an operator that nobody declares.
HOPELESS = """
import torch
torch.library.register_fake("torchvision::no_such_thing")(lambda x: x)
"""

ASK = """
import sys
sys.path.insert(0, {path!r})
from dddm.errors import EnvironmentProblem
from dddm.support.torchvision_operators import import_torchvision
try:
    import_torchvision()
except EnvironmentProblem as error:
    print("refused:", error.remedy)
else:
    print("imported", sys.modules["torchvision"].__file__)
"""


def ask(path: Path) -> str:
    """What a fresh process says after the import, with a torchvision of the test's own."""
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(path=str(path))],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_installed_torchvision_is_imported() -> None:
    """Here, whichever build is installed, torchvision and torch-fidelity can be imported after."""
    import_torchvision()
    import_torchvision()
    assert importlib.import_module("torchvision").__version__
    assert importlib.import_module("torch_fidelity").__version__ == "0.4.0"


@pytest.mark.parametrize(
    ("source", "expected"),
    [(UNFIT, "imported"), (HOPELESS, "refused: install the torchvision")],
    ids=["repairable", "hopeless"],
)
def test_a_build_that_does_not_fit(tmp_path: Path, source: str, expected: str) -> None:
    """Missing operators are declared; what cannot be mended is refused with what to install."""
    (tmp_path / "torchvision.py").write_text(source, encoding="utf-8")
    assert ask(tmp_path).startswith(expected)


def test_an_absent_torchvision_is_an_environment_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torchvision the error says what to install, and is no defect of ours."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(EnvironmentProblem, match="cannot be imported"):
        import_torchvision()
