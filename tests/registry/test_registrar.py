"""A declaration is taken as it is meant, or refused with the plugin, the mistake and the remedy."""

import re
from types import GenericAlias
from typing import Any, Literal

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from dddm.errors import PluginError
from dddm.interfaces.info import ImageShape
from dddm.interfaces.plugin import API_VERSION, Conformance, Kind, NoOptions, WeightFile, option
from dddm.registry.option_types import is_option_type
from dddm.registry.registrar import PluginRegistrar, is_name, namespace_of

GOOD: dict[str, Any] = {"target": "focal.far:Far", "summary": "A distance."}


@frozen(kw_only=True)
class Options:
    """One option of each type."""

    flag: bool = option(default=False, help="Whether.")
    size: int = option(at_least=1, help="How large.")
    rate: float | None = option(None, above=0, help="How fast.")
    word: Literal["left", "right"] = option("left", help="Which way.")
    list: tuple[int, ...] = option((), help="Some.")


@frozen(kw_only=True)
class Bare:
    """A field that was not made with `option`, though it has metadata."""

    size: int = field(default=1, metadata={"unit": "pixel"})


@frozen(kw_only=True)
class Wordless:
    """An option whose help is not text."""

    size: int = option(1, help=3)  # type: ignore[arg-type]


@frozen(kw_only=True)
class BoundWord:
    """Bounds of what is no number."""

    word: str = option("a", above=0, help="Which.")


@frozen(kw_only=True)
class WordBound:
    """A bound that is no number."""

    sizes: tuple[int, ...] | None = option(None, above="0", help="Which.")  # type: ignore[arg-type]


@frozen(kw_only=True)
class Steps:
    """An option called as a setting of `[[sample]]` is."""

    steps: int = option(1, help="How many.")


def registrar() -> PluginRegistrar:
    return PluginRegistrar(plugin="focal.more", package="dddm-focal", version="1.2")


def refusal(kind: Any = Kind.METRIC, name: Any = "far", **changes: Any) -> PluginError:
    """What a declaration that is good but for `changes` is refused with."""
    taker = registrar()
    with pytest.raises(PluginError) as caught:
        taker.add(kind, name, **GOOD | changes)
    assert taker.components == []
    return caught.value


def test_what_is_declared_is_kept() -> None:
    """With the plugin, the package and the namespace that it came from."""
    taker = registrar()
    weights = WeightFile(name="w", url="https://example.org/w", size_bytes=1, sha256="0" * 64)

    def check(_options: Any, _surroundings: Any) -> tuple[()]:
        return ()

    def describe(_options: Any) -> None:
        return None

    taker.add(
        Kind.DATASET, "far", **GOOD, options=Options, check=check, describe=describe,
        weights=iter([weights]), default=True,
    )  # fmt: skip
    (kept,) = taker.components
    assert (kept.kind, kept.id, kept.target) == (Kind.DATASET, "focal:far", "focal.far:Far")
    assert (kept.plugin, kept.package, kept.version) == ("focal.more", "dddm-focal", "1.2")
    assert (kept.options, kept.summary, kept.default) == (Options, "A distance.", True)
    assert (kept.check, kept.describe, kept.weights) == (check, describe, (weights,))


def test_what_is_not_said_is_nothing() -> None:
    """No options, no check, no weights, and nobody's default."""
    taker = registrar()
    taker.add(Kind.METRIC, "far", **GOOD)
    (kept,) = taker.components
    assert kept.options is NoOptions
    assert (kept.check, kept.describe, kept.weights, kept.default) == (None, None, (), False)


def test_kinds_have_names_of_their_own() -> None:
    """One name may serve two kinds, and only once in each."""
    taker = registrar()
    taker.add(Kind.METRIC, "far", **GOOD)
    taker.add(Kind.SAMPLER, "far", **GOOD)
    with pytest.raises(PluginError, match="the metric far is registered twice"):
        taker.add(Kind.METRIC, "far", **GOOD)
    assert [c.kind for c in taker.components] == [Kind.METRIC, Kind.SAMPLER]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"kind": "backbone"}, "write Kind.BACKBONE"),
        ({"kind": "loss"}, "write Kind.METRIC"),
        ({"kind": "target_store"}, "write Kind.TARGET_STORE"),
        ({"kind": 3}, "Kind.OBJECTIVE or Kind.SCHEDULE"),
        ({"name": "Mixer"}, 'write "mixer"'),
        ({"name": "my_FarOff"}, 'write "my-far-off"'),
        ({"name": "é"}, "write lower-case words"),
        ({"target": "focal.far.Far"}, 'write "focal.far:Far"'),
        ({"target": Options}, f'write "{__name__}:Options", as text'),
        ({"target": "Far"}, 'write it as "dddm_mixer.backbone:Mixer"'),
    ],
)
def test_what_was_meant_is_proposed(changes: dict[str, Any], remedy: str) -> None:
    """The remedy is what the author would write, where that can be guessed."""
    assert remedy in str(refusal(**changes).remedy)


def one_option(annotation: Any, default: Any, **bounds: float) -> type[Any]:
    """An options class of a single option."""
    body = {
        "size": option(default, help="What.", **bounds),
        "__annotations__": {"size": annotation},
    }
    return frozen(kw_only=True)(type("One", (), body))


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int, "64"), (int, 64.0), (int, True), (int, None), (float, "1"), (float, True),
        (float, float("inf")), (bool, 1), (str, 1), (Literal["a", "b"], "c"), (Literal["a"], 1),
        (int | None, "64"), (tuple[int, ...], 3), (tuple[int, ...], (1, 2.0)),
        (tuple[int, ...], [1]), (tuple[int, ...] | None, ("a",)),
    ],
    ids=str,
)  # fmt: skip
def test_a_default_of_another_type_is_refused(annotation: Any, default: Any) -> None:
    """It would fail only in the run, where a recipe's value of that type is refused at once."""
    error = refusal(options=one_option(annotation, default))
    assert f"option size of far has the default {default!r}" in error.what


@pytest.mark.parametrize(
    ("annotation", "default", "bounds", "what"),
    [
        (int, 0, {"at_least": 1}, "0 is not at least 1"),
        (float | None, 0.5, {"above": 0.5}, "0.5 is not above 0.5"),
        (tuple[int, ...], (1, 9), {"at_most": 8}, "9 is not at most 8"),
        (tuple[tuple[int, ...], ...], ((1,), (9,)), {"below": 8}, "9 is not below 8"),
    ],
)
def test_a_default_out_of_its_bounds_is_refused(
    annotation: Any, default: Any, bounds: dict[str, float], what: str
) -> None:
    """What a recipe may not say is no default either."""
    assert what in refusal(options=one_option(annotation, default, **bounds)).what


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (float, 1), (float | None, None), (int | None, 3), (Literal["a", "b"], "b"),
        (tuple[float, ...], (1, 2.5)), (tuple[tuple[int, ...], ...], ((1,), ())), (bool, False),
    ],
    ids=str,
)  # fmt: skip
def test_a_default_of_its_type_is_taken(annotation: Any, default: Any) -> None:
    """A float may be a whole number, as in recipes; what may be left out may be None."""
    taker = registrar()
    taker.add(Kind.METRIC, "far", **GOOD, options=one_option(annotation, default))
    assert len(taker.components) == 1


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"kind": "metric"}, "'metric' is not a Kind"),
        ({"name": "Far"}, "'Far' is not a valid name for a metric"),
        ({"name": None}, "None is not a valid name for a metric"),
        ({"target": "focal.far.Far"}, "not written as module:Class"),
        ({"target": "focal.far:Far()"}, "not written as module:Class"),
        ({"target": "focal..far:Far"}, "not written as module:Class"),
        ({"target": Options}, "not written as module:Class"),
        ({"summary": ""}, "not one line of text"),
        ({"summary": "one\ntwo"}, "not one line of text"),
        ({"summary": "\x1b[2Jgone"}, "not one line of text"),
        ({"check": "later"}, "the check of far is 'later', not a function"),
        ({"describe": 3}, "the describe of far is 3, not a function"),
        ({"weights": ["w.bin"]}, "the weights of far are not WeightFile"),
        ({"options": Options(size=1)}, "not an attrs class"),
        ({"options": dict}, "not an attrs class"),
        ({"options": Bare}, "option size of far is not made with option"),
        ({"options": Wordless}, "the help of option size of far is not text"),
        ({"options": BoundWord}, "option word of far has bounds but no numeric type"),
        ({"options": WordBound}, "option sizes of far has bounds but no numeric type"),
        ({"kind": Kind.SAMPLER, "options": Steps}, "called steps"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(changes: dict[str, Any], what: str) -> None:
    """Nothing of a refused declaration is kept."""
    error = refusal(**changes)
    assert what in error.what
    assert error.where == "plugin focal.more of dddm-focal 1.2"
    assert error.remedy


def test_what_is_reserved_for_a_sampler_is_free_elsewhere() -> None:
    """A metric may have an option called `steps`: its table has no such setting."""
    taker = registrar()
    taker.add(Kind.METRIC, "far", **GOOD, options=Steps)
    assert taker.components[0].options is Steps


@pytest.mark.parametrize("api", [(API_VERSION, API_VERSION), (0, API_VERSION), (API_VERSION, 99)])
def test_versions_that_include_ours_are_taken(api: tuple[int, int]) -> None:
    """The range counts with both its ends."""
    taker = registrar()
    taker.add(Kind.METRIC, "far", **GOOD, api=api)
    assert taker.components[0].api == api


@pytest.mark.parametrize("api", [(API_VERSION + 1, 99), (0, API_VERSION - 1), (2, 1)])
def test_other_versions_are_refused_with_both_named(api: tuple[int, int]) -> None:
    """Which the plugin was written for, and which is here."""
    error = refusal(api=api)
    assert f"versions {api[0]} to {api[1]} of the plugin interface" in error.what
    assert f"this dddm has version {API_VERSION}" in error.what
    assert "dddm-focal" in str(error.remedy)


@pytest.mark.parametrize(
    ("plugin", "namespace"), [("dddm", "dddm"), ("dddm.metrics", "dddm"), ("a.b.c", "a"), ("", "")]
)
def test_a_namespace_ends_at_the_first_dot(plugin: str, namespace: str) -> None:
    """Parts of one plugin share it."""
    assert namespace_of(plugin) == namespace


@given(st.lists(st.text("abcxyz019", min_size=1), min_size=1))
def test_words_joined_by_hyphens_are_a_name(words: list[str]) -> None:
    """Lower-case letters and digits, in words that are not empty."""
    assert is_name("-".join(words))


@pytest.mark.parametrize(
    "text", ["", "A", "a_b", "a b", "-a", "a-", "a--b", "a.b", "a:b", "é", "a\n", 3, None]
)
def test_anything_else_is_no_name(text: object) -> None:
    """Ids, files and options of a shell are written with names."""
    assert not is_name(text)


_scalars = st.sampled_from([bool, int, float, str, Literal["a"], Literal["a", "b"]])


def _tuple_of(inner: Any) -> Any:
    return GenericAlias(tuple, (inner, ...))


def _or_none(inner: Any) -> Any:
    return inner | None


_types = st.recursive(_scalars, lambda t: st.one_of(t.map(_tuple_of), t.map(_or_none)))


@given(_types)
def test_every_composition_of_the_types_is_allowed(annotation: Any) -> None:
    """Lists of lists, and what may be left out, of anything that is allowed itself."""
    assert is_option_type(annotation)


@pytest.mark.parametrize(
    "annotation",
    [
        None, type(None), object, bytes, complex, Any, list[int], dict[str, int], set[int], tuple,
        tuple[int], tuple[int, int], tuple[int, str, float], Literal[1], Literal["a", 1],
        int | str, int | str | None, float | Literal["a"],
        int | float | Literal["a"], list[int] | None, tuple[bytes, ...],
    ],
    ids=str,
)  # fmt: skip
def test_other_types_are_refused(annotation: Any) -> None:
    """What TOML cannot say, or says in two ways."""
    assert not is_option_type(annotation)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"examples": {"width": 8}}, r"examples is a table, not a tuple.*\(…,\)"),
        ({"examples": ("width",)}, "examples is .*write a tuple of tables"),
        ({"examples": None}, "examples is None"),
        (
            {"shapes": ImageShape(channels=1, height=8, width=8)},
            r"shapes is a shape, not a tuple.*\(…,\)",
        ),
        ({"lacks": ("select",)}, "lacks is .*the reason"),
        ({"lacks": {"select": None}}, "lacks is .*the reason"),
        ({"expected_failures": "backbone.select"}, "expected_failures is .*the reason"),
    ],
)
def test_a_conformance_without_its_comma_is_refused(said: dict[str, Any], words: str) -> None:
    """Where it is registered, and not as a crash of the kit."""
    error = refusal(conformance=Conformance(**said))
    assert re.search(f"(?s){words}", str(error))
