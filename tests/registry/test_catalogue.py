"""Components are found by full id, or by a bare name while it is unique."""

import pytest
from toy_plugins import toy_catalogue

from dddm.errors import PluginError
from dddm.interfaces.plugin import Kind
from dddm.registry.catalogue import Catalogue, PluginStatus


def test_components_come_in_order() -> None:
    """By kind, then by id; one kind alone on request."""
    catalogue = toy_catalogue()
    keys = [(c.kind.value, c.id) for c in catalogue.components()]
    assert keys == sorted(keys)
    assert [c.id for c in catalogue.components(Kind.METRIC)] == ["other:far", "toy:near"]


def test_a_name_is_found_by_id_and_while_unique_by_itself() -> None:
    """The same component answers to both; a name of another kind does not."""
    catalogue = toy_catalogue()
    assert catalogue.find(Kind.METRIC, "near") is catalogue.find(Kind.METRIC, "toy:near")
    with pytest.raises(PluginError, match="no schedule called 'near'"):
        catalogue.find(Kind.SCHEDULE, "near")


def test_a_name_of_two_lists_the_candidates() -> None:
    """Nothing overrides silently."""
    with pytest.raises(PluginError) as caught:
        toy_catalogue().find(Kind.FEATURES, "pixels")
    assert caught.value.remedy == "write one of other:pixels, toy:pixels"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("nearr", "did you mean near"),
        ("toy:nea", "toy:near"),
        ("xyzzy", "choose among far, near"),
    ],
)
def test_an_unknown_name_suggests(name: str, remedy: str) -> None:
    """The nearest names, or all there are."""
    with pytest.raises(PluginError, match="there is no metric called") as caught:
        toy_catalogue().find(Kind.METRIC, name)
    assert remedy in str(caught.value.remedy)


def test_a_kind_that_nobody_has_asks_for_a_plugin() -> None:
    """Without any component of a kind there is nothing to suggest."""
    with pytest.raises(PluginError, match="install a plugin that has a metric"):
        Catalogue([]).find(Kind.METRIC, "l1")


def test_a_plugin_that_is_not_in_use_is_named() -> None:
    """Its own error where the namespace is its, a hint where it may be meant."""
    error = PluginError("it broke", where="here", remedy="mend it")
    plugins = [
        PluginStatus(name="focal.a", package="p", version="1", error=error),
        PluginStatus(name="off", package="p", version="1", disabled=True),
    ]
    catalogue = Catalogue(toy_catalogue().components(), plugins=plugins)
    with pytest.raises(PluginError) as caught:
        catalogue.find(Kind.METRIC, "focal:far")
    assert str(caught.value).endswith("failed to load: it broke\n  at: here\n  try: mend it")
    with pytest.raises(PluginError, match="off is disabled"):
        catalogue.find(Kind.METRIC, "off:far")
    with pytest.raises(PluginError, match=r"focal.a failed, off disabled"):
        catalogue.find(Kind.METRIC, "unknown")
    with pytest.raises(PluginError, match=r"no component called 'focal\.a', because the plugin"):
        catalogue.named("focal.a")
    assert catalogue.failed == {"focal.a": error}


def test_named_finds_every_kind() -> None:
    """`dddm plugins show pixels` shows all that are called so."""
    catalogue = toy_catalogue()
    assert [c.id for c in catalogue.named("pixels")] == ["other:pixels", "toy:pixels"]
    with pytest.raises(PluginError, match="no component called 'pixel'"):
        catalogue.named("pixel")
    with pytest.raises(PluginError) as caught:
        catalogue.named("xyzzy")
    assert caught.value.remedy == "install its package; `dddm plugins` lists what is installed"


def test_facts_are_plain() -> None:
    """What listings print of a plugin."""
    status = PluginStatus(
        name="a", package="p", version="1", error=PluginError("broke"),
        seconds=0.0123456, imports_torch=True,
    )  # fmt: skip
    assert status.to_json() == {
        "name": "a", "package": "p", "version": "1", "status": "failed", "reason": "broke",
        "imports_torch": True, "load_ms": 12.35,
    }  # fmt: skip
