"""Exceptions are attributed to the third-party component that they come from."""

import sys
from pathlib import Path
from typing import Any

import pytest

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.registry import component as components
from dddm.registry.component import Component, attribute_error

SOURCE = """\
class Far:
    def __init__(self, options): pass
    def distance(self, *, estimate): return 1 / estimate
    def call(self, function): return function()
class Other:
    def __init__(self, options): {}["key"]
"""


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the path; what is instantiated from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_errors", raising=False)
    monkeypatch.setattr(components, "_third_party", {})
    (tmp_path / "toy_errors.py").write_text(SOURCE)
    return tmp_path / "toy_errors.py"


def component(target: str = "Far", *, package: str = "dddm-toy") -> Component:
    return Component(
        kind=Kind.METRIC,
        name=target.lower(),
        namespace="toy",
        target=f"toy_errors:{target}",
        options=NoOptions,
        summary=".",
        plugin="toy",
        package=package,
        version="1.0",
    )


def error_of(function: Any, *arguments: Any, **options: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        function(*arguments, **options)
    return caught.value


def test_an_exception_in_its_code_names_component_function_and_line(plugin: Path) -> None:
    component("Far").instantiate(NoOptions())
    error = error_of(component("Other").instantiate, NoOptions())
    found = attribute_error(error)
    assert found is not None
    assert found.what == "the metric toy:other failed in __init__: KeyError: 'key'"
    assert found.where == f"{plugin}:6, dddm-toy 1.0"
    assert found.remedy == "dddm plugin test toy:other"


def test_an_exception_in_code_that_it_calls_is_its_own(plugin: Path) -> None:
    metric = component().instantiate(NoOptions())
    found = attribute_error(error_of(metric.call, lambda: int("x")))
    assert found is not None
    assert "toy:far failed in call" in found.what
    assert found.where == f"{plugin}:4, dddm-toy 1.0"


def test_arguments_that_it_does_not_take_are_its_own_mistake() -> None:
    with pytest.raises(PluginError, match=r"toy:far cannot be created: TypeError: Far\.__init__"):
        component().instantiate(NoOptions(), shape=3)
    metric = component().instantiate(NoOptions())
    found = attribute_error(error_of(metric.distance, guess=1))
    assert found is not None
    assert "toy:far failed in distance: TypeError" in found.what
    assert found.where == "toy_errors:Far of dddm-toy 1.0"


def test_other_exceptions_are_no_plugins() -> None:
    component().instantiate(NoOptions())
    assert attribute_error(error_of(lambda: int("x"))) is None
    metric = component(package="dddm").instantiate(NoOptions())
    components._third_party.clear()
    assert attribute_error(error_of(metric.distance, estimate=0)) is None
