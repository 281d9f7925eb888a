"""The reference is what the code says: generated, whole and up to date."""

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import attrs
import pytest

from dddm.interfaces.backbone import Backbone
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.features import Features
from dddm.interfaces.metric import Metric
from dddm.interfaces.observer import Observer
from dddm.interfaces.plugin import Registrar
from dddm.interfaces.sampler import Denoiser, Sampler
from dddm.interfaces.schedule import Schedule
from dddm.interfaces.target_store import TargetStore
from dddm.recipe.model import SampleSettings, TrainSettings
from dddm.recipe.options import describe_options
from dddm.registry import hookspec
from dddm.registry.loader import load_catalogue

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
ABSTRACT: tuple[type[Any], ...] = (
    Schedule, Backbone, Metric, TargetStore, Dataset, Split, Sampler, Denoiser, Features, Observer,
)  # fmt: skip


def page(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_reference_is_up_to_date() -> None:
    """`python docs/reference.py` would write what is there, and nothing else is there."""
    made: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]()
    assert set(made) == {file.name for file in FOLDER.iterdir()}
    for name, text in made.items():
        assert text == page(name), f"{name} is out of date: run python docs/reference.py"


def test_every_hook_and_each_of_its_arguments_stand_in_the_page() -> None:
    """A hook that nobody can look up does not exist."""
    text = page("plugins.md")
    hooks: list[Any] = [
        function
        for _, function in inspect.getmembers(hookspec, inspect.isfunction)
        if hasattr(function, "dddm_spec")
    ]
    assert [hook.__name__ for hook in hooks] == ["dddm_register"]
    hooks.append(Registrar.add)
    for hook in hooks:
        section = text.partition(f"def {hook.__name__}(")[2].partition("\n### ")[0]
        assert section
        for argument in inspect.signature(hook).parameters:
            if argument not in {"self", "kind"}:
                assert f"- `{argument}`: " in section, argument


@pytest.mark.parametrize("interface", ABSTRACT, ids=lambda interface: interface.__name__)
def test_every_method_of_an_interface_stands_in_the_page(interface: type[Any]) -> None:
    """With its arguments."""
    text = page("interfaces.md")
    assert f"### `{interface.__name__}`" in text
    own = {
        name: member
        for name, member in vars(interface).items()
        if (not name.startswith("_") or name in {"__init__", "__len__"})
        and (inspect.isfunction(member) or isinstance(member, property))
    }
    assert own
    assert set(interface.__abstractmethods__) <= {*own, *dir(interface.__base__)}
    for name, member in own.items():
        section = text.partition(f"#### `{interface.__name__}.{name}`\n")[2].partition("\n###")[0]
        assert f"def {name}(" in section, name
        if inspect.isfunction(member):
            assert all(argument in section for argument in inspect.signature(member).parameters)


def test_every_pinned_name_of_support_stands_in_its_page() -> None:
    """Functions and classes with their arguments, constructors too."""
    text = page("support.md")
    pinned = [
        line.split("  ", 1)
        for line in page("public-names.txt").splitlines()
        if line.startswith(("dddm.errors  ", "dddm.support."))
    ]
    assert len(pinned) > 100
    assert any(line.startswith("DddmError.__init__(") for _, line in pinned)
    for module, line in pinned:
        name = re.sub(r"^(@\w+ )*(class )?", "", line)
        name = re.match(r"[\w.]+", name)[0]  # type: ignore[index]
        section = text.partition(f"## {module}\n")[2].partition("\n## ")[0]
        assert name.rpartition(".")[2] in section, f"{module} {name}"


def test_every_option_stands_in_the_page() -> None:
    """Of the core's tables and of each built-in component: name and help in one row."""
    text = page("recipe.md")
    classes = [TrainSettings, SampleSettings]
    for component in load_catalogue().components():
        if component.package == "dddm":
            heading = f"### `{component.name}`, {component.kind.value}\n"
            assert heading in text
            section = text.partition(heading)[2].partition("\n### ")[0]
            rows = [line for line in section.splitlines() if line.startswith("| `")]
            assert len(rows) == len(attrs.fields(component.options))
            classes.append(component.options)
    for options in classes:
        for one in describe_options(options):
            assert f"| `{one.name}` | " in text
            assert one.help.replace("|", "\\|") in text
