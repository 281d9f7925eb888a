"""A component's class is found, or the error says where its module goes wrong."""

from pathlib import Path

import pytest

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.registry.component import Component


def load(target: str) -> PluginError:
    """What loading a third-party metric with this target raises."""
    component = Component(
        kind=Kind.METRIC,
        name="d",
        namespace="odd",
        target=target,
        options=NoOptions,
        summary="A distance.",
        plugin="odd",
        package="dddm-odd",
        version="1.0",
    )
    with pytest.raises(PluginError) as caught:
        component.load()
    return caught.value


def test_a_module_that_fails_is_told_with_its_own_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of the library which it called."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "odd_component"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "metric.py").write_text("import json\n\nDATA = json.loads('{')\n")
    error = load("odd_component.metric:Odd")
    assert error.what.startswith("the metric odd:d cannot be loaded: json.decoder.JSONDecodeError:")
    assert error.where == (f"{package / 'metric.py'}:3, odd_component.metric:Odd of dddm-odd 1.0")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Charbonier", "odd_single has Charbonnier; did you mean that?"),
        ("charbonnier", "odd_single has Charbonnier; did you mean that?"),
        ("Lpips", "reinstall or update dddm-odd, or choose another metric"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_a_near_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    """Where there is none, the package is to be mended."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "odd_single.py").write_text("class Charbonnier: ...\n")
    error = load(f"odd_single:{name}")
    assert error.what == f"the metric odd:d cannot be loaded: odd_single has no {name}"
    assert error.remedy == says
