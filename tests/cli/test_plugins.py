"""`dddm plugins`."""

import json
from typing import Any

from click.testing import CliRunner, Result
from toy_plugins import toy_catalogue

from dddm.cli.plugins import plugins
from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind, WeightFile
from dddm.registry.catalogue import Catalogue, PluginStatus
from dddm.registry.registrar import PluginRegistrar


def catalogue() -> Catalogue:
    """Toys, one plugin that failed to load, and one that is disabled."""
    error = PluginError("it broke", where="there", remedy="mend it")
    return Catalogue(
        toy_catalogue().components(),
        plugins=[
            PluginStatus(
                name="toy", package="toys", version="1.0", seconds=0.25, imports_torch=True,
            ),
            PluginStatus(name="sad", package="sads", version="2", error=error),
            PluginStatus(name="off", package="offs", version="3", disabled=True),
        ],
    )  # fmt: skip


def call(*words: str) -> Result:
    return CliRunner().invoke(plugins, [*words], obj={"catalogue": catalogue()})


def test_the_list_names_components_and_their_plugins() -> None:
    """Components under their kinds; then every plugin with its package, status and reason."""
    lines = call().stdout.splitlines()
    at = lines.index("metric")
    assert lines[at + 1].split() == ["other:far", "."]
    assert lines[at + 2].split() == ["toy:near", "."]
    at = lines.index("from these plugins")
    assert lines[at + 1 :] == [
        "  off  offs 3    disabled",
        "  sad  sads 2    failed",
        "    it broke",
        "      at: there",
        "      try: mend it",
        "  toy  toys 1.0  loaded, imports torch",
    ]


def test_without_any_plugin_the_list_says_so() -> None:
    """Not even the built-in ones."""
    done = CliRunner().invoke(plugins, [], obj={"catalogue": Catalogue([])})
    assert done.stdout.splitlines()[-1] == "  none installed"


def test_times_come_slowest_first() -> None:
    lines = call("--timing").stdout.splitlines()
    assert lines[1].split()[:3] == ["250.0", "toy", "of"]
    assert lines[1].endswith("toys 1.0: loaded, imports torch")
    assert lines[-1] == "250.0 ms in total"
    facts: Any = json.loads(call("--timing", "--json").stdout)["plugins"]
    assert (facts[0]["name"], facts[0]["load_ms"]) == ("toy", 250)


def test_the_list_as_json() -> None:
    """For programs: components with their options, and every plugin's status."""
    facts: Any = json.loads(call("--json").stdout)
    assert [plugin["status"] for plugin in facts["plugins"]] == [
        "disabled", "failed", "loaded",
    ]  # fmt: skip
    (net,) = [item for item in facts["components"] if item["id"] == "toy:net"]
    assert net["table"] == "[backbone]"
    assert net["api"] == [1, 1]
    assert net["options"][0] == {
        "name": "size", "type": "a whole number", "required": True, "default": None,
        "bounds": "at least 1", "help": "How large.",
    }  # fmt: skip


def test_a_component_is_shown_with_its_options() -> None:
    """How it is written in a recipe; type, bounds, default and use of each option."""
    shown = call("show", "net").stdout
    for words in (
        "toy:net  backbone, from toys 1.0, plugin API 1\n",
        '[backbone]\nuse = "toy:net"',
        "size = …  (required)\n    a whole number, at least 1\n    How large.",
        "rate = 0.5\n    a number, above 0, below 1",
        'word = "left"\n    one of "left", "right"',
        "list = []\n    a list, each item a whole number, at least 0",
        "maybe  (not set by default)\n    a number, at most 9",
    ):
        assert words in shown


def test_a_name_of_several_shows_all() -> None:
    """Both components called so, of whatever kind, as text and as JSON."""
    shown = call("show", "pixels").stdout
    assert "other:pixels" in shown
    assert "toy:pixels" in shown
    assert len(json.loads(call("show", "pixels", "--json").stdout)) == 2


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """As a plugin's error."""
    error = call("show", "nett").exception
    assert isinstance(error, PluginError)
    assert "did you mean net" in str(error)


def test_the_weights_that_a_component_needs_are_shown() -> None:
    """Name, size, hash and where each comes from, or how to make it."""
    given = PluginRegistrar(plugin="toy", package="toys", version="1.0")
    url = "https://example.org/w.bin"
    file = WeightFile(name="w.bin", url=url, size_bytes=1_500_000, sha256="0" * 64)
    made = WeightFile(
        name="m.bin", url=url, size_bytes=9, sha256="1" * 64, instructions="cut it out"
    )
    given.add(
        Kind.METRIC, "far", target="a:B", summary=".", weights=(file, made), api=(1, 2)
    )  # fmt: skip
    catalogue = {"catalogue": Catalogue(given.components)}
    shown = CliRunner().invoke(plugins, ["show", "far"], obj=catalogue).stdout
    assert "from toys 1.0, plugin API 1 to 2\n" in shown
    assert f"    w.bin, 1.5 MB, sha256 {'0' * 64}\n    {url}\n" in shown
    assert f"    m.bin, 9 B, sha256 {'1' * 64}\n    cut it out\n" in shown
