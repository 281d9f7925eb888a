"""`dddm doctor`."""

import json
import platform

from click.testing import CliRunner
from toy_plugins import toy_catalogue

from dddm.cli.doctor import doctor
from dddm.errors import PluginError
from dddm.registry.catalogue import Catalogue, PluginStatus

CATALOGUE = Catalogue(
    toy_catalogue().components(),
    plugins=[PluginStatus(name="sad", package="s", version="2", error=PluginError("it broke"))],
)


def test_everything_a_bug_report_needs_is_there() -> None:
    """Versions, torch and devices, space, and plugins with the reason why one failed."""
    shown = CliRunner().invoke(doctor, [], obj={"catalogue": CATALOGUE}).stdout
    for words in (
        f"python: {platform.python_version()}",
        "  torch: ",
        "  attrs: ",
        "  devices: cpu",
        "  threads: 1",
        "memory:\n  installed: ",
        "  free: ",
        "  sad (s 2): failed\n    it broke",
    ):
        assert words in shown


def test_as_json() -> None:
    """The same as plain values."""
    done = CliRunner().invoke(doctor, ["--json"], obj={"catalogue": CATALOGUE})
    facts = json.loads(done.stdout)
    assert facts["torch"]["threads"] == 1
    assert facts["plugins"][0]["reason"] == "it broke"
