"""Components that hold others: reading, resolving, checking, and the schema."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import attrs
import jsonschema
import pytest
from command_line import TINY, write_tiny

from dddm.errors import PluginError, RecipeError, UsageError
from dddm.interfaces.plugin import (
    Issue,
    Kind,
    NestedComponent,
    RecipeContext,
    WeightFile,
    nested_component,
    option,
)
from dddm.recipe.model import ComponentConfig, plain
from dddm.recipe.read import read_component, read_recipe
from dddm.recipe.schema import schema_of
from dddm.recipe.write import to_toml
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.registry.registrar import PluginRegistrar

METRIC = '[metric]\nuse = "pseudo-huber"\nc = 0.0043\n'
HOLDING = '[metric]\nuse = "half"\n\n[metric.of]\nuse = "pseudo-huber"\nc = 0.0043\n'
WEIGHTS = WeightFile(name="w", url="https://example.org/w", size_bytes=1, sha256="0" * 64)


@attrs.frozen(kw_only=True)
class HalfOptions:
    of: NestedComponent = nested_component(Kind.METRIC, help="The metric that is halved.")


@attrs.frozen(kw_only=True)
class PickyOptions:
    c: float = option(1.0, help="Refused in any case.")


def _refuse(options: PickyOptions, context: RecipeContext) -> Iterator[Issue]:
    yield Issue(option="c", what="it never pleases", remedy="choose another metric")


def _with_half() -> Catalogue:
    more = PluginRegistrar(plugin="toy", package="toy", version="1")
    more.add(Kind.METRIC, "half", target="toy:Half", summary="Half.", options=HalfOptions)
    more.add(
        Kind.METRIC,
        "picky",
        target="toy:Picky",
        summary="Picky.",
        options=PickyOptions,
        check=_refuse,
        weights=[WEIGHTS],
        needs=lambda options: [WEIGHTS] if options.c > 1 else [],
    )
    return Catalogue([*load_catalogue().components(), *more.components])


def test_a_component_holds_another(tmp_path: Path) -> None:
    """The inner table becomes a component with options of its own, and reads back as it was."""
    recipe = read_recipe(write_tiny(tmp_path, (METRIC, HOLDING)), catalogue=_with_half())
    assert recipe.metric is not None
    inner = recipe.metric.options.of
    assert isinstance(inner, ComponentConfig)
    assert (inner.component.name, inner.options.c) == ("pseudo-huber", 0.0043)
    assert list(recipe.metric.with_nested()) == [recipe.metric, inner]
    assert type(inner.instantiate()).__name__ == "PseudoHuber"
    again = tmp_path / "again.toml"
    again.write_text(to_toml(recipe))
    assert read_recipe(again, catalogue=_with_half()).fingerprint == recipe.fingerprint


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ('[metric]\nuse = "half"\n', 'add [metric.of] and under it use = "…"'),
        ('[metric]\nuse = "half"\nof = "l2"\n', "of must be a table that uses a metric"),
        ('[metric]\nuse = "half"\n[metric.of]\nuse = "l3"\n', "no metric called 'l3'"),
        ('[metric]\nuse = "half"\n[metric.of]\nuse = "l2"\nc = 1\n', "l2 has no option 'c'"),
        ('[metric]\nuse = "half"\n[metric.of]\nuse = "pseudo-huber"\n', "needs the option 'c'"),
        ('[metric]\nuse = "half"\n[metric.of]\nuse = "picky"\n', "it never pleases"),
    ],
)
def test_what_is_wrong_inside_is_said(tmp_path: Path, metric: str, said: str) -> None:
    """An inner component is read and checked as strictly as an outer one."""
    path = write_tiny(tmp_path, (METRIC, metric))
    with pytest.raises((RecipeError, PluginError)) as refused:
        read_recipe(path, catalogue=_with_half())
    assert said in str(refused.value)
    assert "tiny.toml" in str(refused.value)


@pytest.mark.parametrize(
    ("metric", "right"),
    [
        (HOLDING, True),
        (HOLDING.replace('"pseudo-huber"', '"l3"'), False),
        (HOLDING.replace("c = 0.0043", "c = -1"), False),
        (HOLDING.replace("c = 0.0043", ""), False),
        (HOLDING.replace('"pseudo-huber"\nc = 0.0043', '"half"\n[metric.of.of]\nuse = "l2"'), True),
    ],
)
def test_the_schema_follows(metric: str, right: bool) -> None:  # noqa: FBT001 - a parameter
    """The schema takes an inner table of any depth, and refuses what the reader refuses."""
    validator = jsonschema.Draft7Validator(schema_of(_with_half()))
    assert validator.is_valid(tomllib.loads(TINY.replace(METRIC, metric))) is right


def test_weights_may_depend_on_options() -> None:
    """Of all files that a component may need, `needs` names those of given options."""
    picky = _with_half().find(Kind.METRIC, "picky")
    assert picky.weights == (WEIGHTS,)
    assert picky.weights_for(PickyOptions(c=2.0)) == (WEIGHTS,)
    assert picky.weights_for(PickyOptions(c=1.0)) == ()


def test_a_part_is_annotated_as_one() -> None:
    """A plugin whose field made with `part` says another type is refused."""

    @attrs.frozen(kw_only=True)
    class Wrong:
        of: str = nested_component(Kind.METRIC, help="The metric.")

    with pytest.raises(PluginError, match="another annotation"):
        PluginRegistrar(plugin="toy", package="toy", version="1").add(
            Kind.METRIC, "wrong", target="toy:Wrong", summary="Wrong.", options=Wrong
        )


def test_a_part_may_be_optional() -> None:
    """Then it is None where there is no table, in plain values and to the schema too."""

    @attrs.frozen(kw_only=True)
    class Maybe:
        of: NestedComponent | None = nested_component(
            Kind.METRIC, optional=True, help="The metric, if any."
        )

    registrar = PluginRegistrar(plugin="toy", package="toy", version="1")
    registrar.add(Kind.METRIC, "maybe", target="toy:Maybe", summary="Maybe.", options=Maybe)
    catalogue = Catalogue([*load_catalogue().components(), *registrar.components])
    without = read_component(Kind.METRIC, "maybe", catalogue=catalogue)
    assert without.options.of is None
    assert without.nested == ()
    assert plain(without.options) == {}
    inside = read_component(Kind.METRIC, "maybe", options=['of={use = "l2"}'], catalogue=catalogue)
    (one,) = inside.nested
    assert one.component.name == "l2"
    with pytest.raises(UsageError, match="of must be a table"):
        read_component(Kind.METRIC, "maybe", options=["of=3"], catalogue=catalogue)
    validator = jsonschema.Draft7Validator(schema_of(catalogue))
    for metric, right in (
        ('[metric]\nuse = "toy:maybe"\n', True),
        ('[metric]\nuse = "toy:maybe"\nof = { use = "l2" }\n', True),
        ('[metric]\nuse = "toy:maybe"\nof = 3\n', False),
    ):
        assert validator.is_valid(tomllib.loads(TINY.replace(METRIC, metric))) is right


def test_a_part_and_its_annotation_agree_on_none() -> None:
    @attrs.frozen(kw_only=True)
    class Surely:
        of: NestedComponent = nested_component(Kind.METRIC, optional=True, help="The metric.")

    @attrs.frozen(kw_only=True)
    class Perhaps:
        of: NestedComponent | None = nested_component(Kind.METRIC, help="The metric.")

    for wrong in (Surely, Perhaps):
        with pytest.raises(PluginError, match="another annotation"):
            PluginRegistrar(plugin="toy", package="toy", version="1").add(
                Kind.METRIC, "wrong", target="toy:Wrong", summary="Wrong.", options=wrong
            )
