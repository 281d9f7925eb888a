"""`dddm plugins`."""

import json
from typing import Any

from click.testing import CliRunner, Result
from toy_plugins import toy_catalogue

from dddm.cli.plugins import plugins
from dddm.errors import PluginError
from dddm.registry.catalogue import Catalogue, PluginStatus


def catalogue() -> Catalogue:
    """Toys, one plugin that is set aside, and one that is switched off."""
    error = PluginError("it broke", where="there", remedy="mend it")
    return Catalogue(
        toy_catalogue().components(),
        plugins=[
            PluginStatus(name="toy", package="toys", version="1.0"),
            PluginStatus(name="sad", package="sads", version="2", error=error),
            PluginStatus(name="off", package="offs", version="3", disabled=True),
        ],
    )


def call(*words: str) -> Result:
    return CliRunner().invoke(plugins, [*words], obj={"catalogue": catalogue()})


def test_the_list_names_components_and_what_is_not_in_use() -> None:
    """Components under their kinds; then plugins that are set aside, with the reason."""
    lines = call().stdout.splitlines()
    at = lines.index("metric")
    assert lines[at + 1].split() == ["other:far", "."]
    assert lines[at + 2].split() == ["toy:near", "."]
    assert "from toys 1.0, others 2.0" in lines
    assert "sad of sads 2 is set aside" in lines
    assert lines[lines.index("sad of sads 2 is set aside") + 1 :][:3] == [
        "  it broke", "    at: there", "    try: mend it",
    ]  # fmt: skip
    assert "off of offs 3 is switched off" in lines


def test_the_list_as_json() -> None:
    """For programs: components with their options, and every plugin's status."""
    facts: Any = json.loads(call("--json").stdout)
    assert [plugin["status"] for plugin in facts["plugins"]] == [
        "switched off", "set aside", "loaded",
    ]  # fmt: skip
    (net,) = [item for item in facts["components"] if item["id"] == "toy:net"]
    assert net["table"] == "[backbone]"
    assert net["options"][0] == {
        "name": "size", "type": "a whole number", "required": True, "default": None,
        "bounds": "at least 1", "help": "How large.",
    }  # fmt: skip


def test_a_component_is_shown_with_its_options() -> None:
    """How it is written in a recipe; type, bounds, default and use of each option."""
    shown = call("show", "net").stdout
    for words in (
        "toy:net  backbone, from toys 1.0",
        '[backbone]\nuse = "toy:net"',
        "size = …  (required)\n    a whole number, at least 1\n    How large.",
        "rate = 0.5\n    a number, above 0, below 1",
        'word = "left"\n    one of "left", "right"',
        "list = []\n    a list, each item a whole number, at least 0",
        "maybe  (left out by default)\n    a number, at most 9",
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
