"""The kit as tests of pytest, in a process of its own, as an author runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from dddm.testing import conformance

TESTS = """\
from planted.metrics import Asymmetric, RightMetric
from dddm.interfaces.plugin import Conformance, Kind
from dddm.registry.catalogue import Catalogue
from dddm.registry.registrar import PluginRegistrar
from dddm.testing import conformance

toys = PluginRegistrar(plugin="toy", package="toys", version="1")

def add(name, target, **said):
    place = f"planted.metrics:{target.__name__}"
    toys.add(Kind.METRIC, name, target=place, summary="A toy.", conformance=Conformance(**said))

SYMMETRIC = "metric.symmetric"
add("right", RightMetric)
add("wrong", Asymmetric)
add("lacking", Asymmetric, lacks={"symmetric": "by its nature"})
add("expected", Asymmetric, expected_failures={SYMMETRIC: "not yet"})
add("unexpected", RightMetric, expected_failures={SYMMETRIC: "not yet"})

@conformance("toy", checks=[SYMMETRIC], catalogue=Catalogue(toys.components))
def test_promises(check):
    check()
"""


def test_every_outcome_is_one_of_pytest(tmp_path: Path) -> None:
    """Passed, failed with its sentences, skipped and expected with their reasons; ids are words."""
    (tmp_path / "test_toys.py").write_text(TESTS)
    toys = Path(__file__).parents[1] / "toys"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider",
         "-c", "/dev/null", "--rootdir", str(tmp_path), "-o", f"pythonpath={toys}", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    out = done.stdout
    assert done.returncode == 1, out + done.stderr
    assert "2 failed, 1 passed, 1 skipped, 1 xfailed" in out
    for line in (
        "test_toys.py::test_promises[metric.symmetric-right-defaults]",
        "test_toys.py::test_promises[metric.symmetric-wrong-defaults]",
        "test_toys.py::test_promises[metric.symmetric-unexpected-defaults]",
        "test_toys.py::test_promises[metric.symmetric-expected-defaults] - not yet",
        "lacks symmetric: by its nature",
        "promised: d(a, b) = d(b, a), up to rounding.",
        "seen: d(a, b) is not d(b, a): off by",
    ):
        assert line in out


@conformance("dddm:l1", "dddm:l2", checks=["metric.symmetric"])
def test_the_decorator_gives_one_check_each(check: object) -> None:
    """Of installed components, by name."""
    assert repr(check) in {
        f"metric.symmetric of dddm:{name}, defaults" for name in ("l1", "l2")
    }  # fmt: skip
    assert callable(check)
    check()


def test_without_pytest_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function and the command do without it."""
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(Exception, match=r"dddm\[testing\]") as caught:
        conformance("dddm:l1")
    assert type(caught.value).__name__ == "EnvironmentProblem"
