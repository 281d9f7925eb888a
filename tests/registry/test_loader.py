"""Plugins are found by their entry points, and none can harm another.

The distributions are real ones, installed into a folder on the path.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_distributions import HEAD, install, metric, registering

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, whose modules are forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("toy_"):
            del sys.modules[name]


def status_of(catalogue: Catalogue, name: str) -> str:
    return next(plugin.status for plugin in catalogue.plugins if plugin.name == name)


def test_built_ins_come_in_by_the_same_door() -> None:
    """All built-in entry points load, under namespace `dddm`."""
    catalogue = load_catalogue()
    ours = [plugin for plugin in catalogue.plugins if plugin.package == "dddm"]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert {plugin.name for plugin in ours} == set(declared["dddm"])
    assert {plugin.status for plugin in ours} == {"loaded"}
    assert catalogue.find(Kind.BACKBONE, "adm").id == "dddm:adm"


def test_a_third_party_component_has_its_namespace_and_package(site: Path) -> None:
    """The entry point's name up to its first dot is the namespace."""
    install(site, "dddm-toy", version="1.2", toy_a=("focal.more", registering(metric("far"))))
    found = load_catalogue().find(Kind.METRIC, "focal:far")
    assert (found.package, found.version, found.plugin) == ("dddm-toy", "1.2", "focal.more")
    assert found.options().eps == 0.5


def test_a_target_is_imported_only_when_it_is_used(site: Path) -> None:
    """Listing imports no target; loading one that is not there is a plugin's error."""
    install(site, "dddm-toy", toy_a=("focal", registering(metric("far"))))
    component = load_catalogue().find(Kind.METRIC, "far")
    with pytest.raises(PluginError, match="focal:far cannot be loaded") as caught:
        component.load()
    assert "nowhere:X of dddm-toy 1.0" in str(caught.value)


BROKEN = {
    "raises": "raise ValueError('no luck')",
    "exits": "import sys\nsys.exit(3)",
    "no syntax": "def",
    "no hook": "x = 1",
    "hook without marker": "def dddm_register(registrar): pass",
    "hook raises": f"{HEAD}@hookimpl\ndef dddm_register(registrar): 1 / 0",
    "hook of other arguments": f"{HEAD}@hookimpl\ndef dddm_register(wrong): pass",
    "no kind": registering('"metric", "x", target="a:B", summary="s"'),
    "name": registering('Kind.METRIC, "Bad Name", target="a:B", summary="s"'),
    "target": registering('Kind.METRIC, "x", target="a.B", summary="s"'),
    "target is a class": registering('Kind.METRIC, "x", target=Options, summary="s"'),
    "summary": registering('Kind.METRIC, "x", target="a:B", summary=None'),
    "options": registering('Kind.METRIC, "x", target="a:B", summary="s", options=dict'),
    "check": registering('Kind.METRIC, "x", target="a:B", summary="s", check=3'),
    "describe": registering('Kind.DATASET, "x", target="a:B", summary="s", describe=3'),
    "conformance": registering(
        'Kind.METRIC, "x", target="a:B", summary="s", conformance={"examples": ()}'
    ),
    "weights": registering('Kind.METRIC, "x", target="a:B", summary="s", weights=["w"]'),
    "api of tomorrow": registering('Kind.METRIC, "x", target="a:B", summary="s", api=(2, 3)'),
    "api that is none": registering('Kind.METRIC, "x", target="a:B", summary="s", api=1'),
    "twice": registering(metric("x"), metric("x")),
}

FIELDS = {
    "no option": "x: int = 3",
    "type": "x: dict = option({}, help='')",
    "set": "x: set[int] = option((), help='')",
    "pair": "x: tuple[int, int] = option((1, 2), help='')",
    "two types": "x: int | str = option(1, help='')",
    "numbers of a literal": "import typing; x: typing.Literal[1, 2] = option(1, help='')",
    "unknown type": "x: 'Nowhere' = option(1, help='')",
    "use": "use: int = option(1, help='')",
    "hidden": "_x: int = option(1, help='')",
}  # fmt: skip


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_set_aside_whole(site: Path, source: str) -> None:
    """It brings none of its components, keeps its own error, and no other is harmed."""
    install(site, "dddm-toy", toy_broken=("broken", source), toy_good=("good", GOOD))
    catalogue = load_catalogue()
    assert set(catalogue.failed) == {"broken"}
    error = catalogue.failed["broken"]
    assert error.exit_code == 4
    assert "dddm-toy 1.0" in str(error)
    assert error.remedy
    assert [c.id for c in catalogue.components() if c.package == "dddm-toy"] == ["good:near"]
    with pytest.raises(PluginError) as caught:
        catalogue.find(Kind.METRIC, "broken:x")
    assert error.what in str(caught.value)


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_options_that_recipes_cannot_say_are_refused(site: Path, field: str) -> None:
    """An option must be made with `option`, have a type it allows, and a name of its own."""
    source = registering('Kind.METRIC, "x", target="a:B", summary="s", options=Bad')
    source += f"\n@frozen(kw_only=True)\nclass Bad:\n    {field}\n"
    install(site, "dddm-toy", toy_broken=("broken", source))
    assert set(load_catalogue().failed) == {"broken"}


GOOD = registering(metric("near"))


def test_what_a_sampler_shares_its_table_with_is_reserved(site: Path) -> None:
    """A sampler's option cannot be called as a setting of `[[sample]]` is."""
    source = registering('Kind.SAMPLER, "x", target="a:B", summary="s", options=Bad')
    source += "\n@frozen(kw_only=True)\nclass Bad:\n    steps: int = option(1, help='')\n"
    install(site, "dddm-toy", toy_broken=("broken", source))
    assert "steps" in load_catalogue().failed["broken"].what


def test_a_half_registered_plugin_leaves_nothing(site: Path) -> None:
    """What was declared before the mistake is not kept."""
    source = registering(metric("first"), 'Kind.METRIC, "Bad", target="a:B", summary="s"')
    install(site, "dddm-toy", toy_broken=("broken", source))
    assert not [c for c in load_catalogue().components() if c.namespace == "broken"]


def test_a_namespace_belongs_to_one_distribution(site: Path) -> None:
    """The second distribution that claims it fails to load, and `dddm` is always ours."""
    install(site, "a-toy", toy_a=("shared.one", registering(metric("near"))))
    install(site, "b-toy", toy_b=("shared.two", registering(metric("far"))))
    install(site, "c-toy", toy_c=("dddm.more", registering(metric("mine"))))
    catalogue = load_catalogue()
    assert set(catalogue.failed) == {"shared.two", "dddm.more"}
    assert "belongs to a-toy, and b-toy claims it too" in catalogue.failed["shared.two"].what
    remedy = str(catalogue.failed["shared.two"].remedy)
    assert "rename the entry point in the pyproject.toml" in remedy
    assert "-p no:b-toy" in remedy
    assert catalogue.find(Kind.METRIC, "shared:near").name == "near"


@pytest.mark.parametrize(("off", "left"), [("a-toy", "far"), ("b-toy", "near")])
def test_one_of_two_that_share_a_namespace_is_switched_off_by_its_package(
    site: Path, off: str, left: str
) -> None:
    """Both have one name, so their distributions' names tell them apart; the other is used."""
    install(site, "a-toy", toy_a=("shared", registering(metric("near"))))
    install(site, "b-toy", toy_b=("shared", registering(metric("far"))))
    catalogue = load_catalogue([off])
    assert not catalogue.failed
    assert [c.id for c in catalogue.components() if c.namespace == "shared"] == [f"shared:{left}"]


@pytest.mark.parametrize("hook", ["dddm_register(r)", "dddm_registr(registrar)"])
def test_an_invalid_hook_is_explained(site: Path, hook: str) -> None:
    install(site, "a-toy", toy_a=("mine", f"{HEAD}@hookimpl\ndef {hook}: pass"))
    error = load_catalogue().failed["mine"]
    assert "has an invalid hook" in error.what
    assert "def dddm_register(registrar" in str(error.remedy)


@pytest.mark.parametrize(
    "call",
    [
        'Kind.METRIC, "Far", target="a:B", summary="s"',
        'Kind.METRIC, "x", target="a:B", summary="s", options=Unknown',
    ],
)
def test_a_malformed_declaration_has_its_line(site: Path, call: str) -> None:
    """Also where what cannot be read is an annotation, which the standard library reads."""
    source = f"{HEAD}@frozen\nclass Unknown:\n    x: 'Nowhere' = option(1, help='')\n"
    source += registering(call).removeprefix(HEAD)
    install(site, "a-toy", toy_a=("mine", source))
    where = str(load_catalogue().failed["mine"].where)
    assert "a-toy 1.0" in where
    assert where.endswith(f"{site / 'toy_a.py'}:13")


def test_one_name_twice_in_a_namespace_is_set_aside(site: Path) -> None:
    """Two entry points of one distribution cannot share a component's name."""
    install(site, "a-toy", toy_a=("toy.one", GOOD), toy_b=("toy.two", GOOD))
    catalogue = load_catalogue()
    assert "already registered by toy.one" in catalogue.failed["toy.two"].what
    assert catalogue.find(Kind.METRIC, "near").plugin == "toy.one"


def test_a_namespace_is_a_name(site: Path) -> None:
    """Ids could not be written with a namespace of other letters."""
    install(site, "a-toy", toy_a=("My_Toy", GOOD))
    assert "is not a valid namespace" in load_catalogue().failed["My_Toy"].what


def test_plugins_are_switched_off_by_name_or_namespace(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that is off is not imported at all; the environment switches off too."""
    source = "raise SystemExit"
    install(site, "a-toy", toy_a=("one.part", source), toy_b=("two", source), toy_c=("three", GOOD))
    monkeypatch.setenv("DDDM_DISABLE_PLUGINS", "two, dddm.metrics")
    catalogue = load_catalogue(["one"])
    assert not catalogue.failed
    off = {plugin.name for plugin in catalogue.plugins if plugin.disabled}
    assert off == {"one.part", "two", "dddm.metrics"}
    assert status_of(catalogue, "one.part") == "disabled"
    assert [c.id for c in catalogue.components(Kind.METRIC)] == ["three:near"]
    with pytest.raises(PluginError, match=r"dddm.metrics is disabled"):
        catalogue.find(Kind.METRIC, "dddm:l1")


def test_an_installation_without_a_name_harms_nobody(site: Path) -> None:
    """Metadata that lack name and version are shown as unknown."""
    info = site / "odd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\n")
    (info / "entry_points.txt").write_text("[dddm]\nodd = toy_odd\n")
    (site / "toy_odd.py").write_text(GOOD)
    assert load_catalogue().find(Kind.BACKBONE, "adm").name == "adm"
