"""The table `[evaluate]`: in which features samples are scored, and by which metrics."""

from collections.abc import Mapping
from typing import Any

from dddm.interfaces.plugin import Kind
from dddm.recipe.locate import Path
from dddm.recipe.merge import Merged
from dddm.recipe.model import EvaluateSettings, Evaluation, Use
from dddm.recipe.options import Reading
from dddm.recipe.presets import lay_preset
from dddm.recipe.problems import refuse
from dddm.registry.catalogue import Catalogue
from dddm.scores.protocol import Protocol


def read_evaluation(preset: str, *, catalogue: Catalogue) -> Evaluation:
    """How a preset says that images are scored, without a recipe.

    Raises:
        RecipeError: if there is no such preset, or it is wrong.
        PluginError: if plugins alone are at fault.
    """
    merged = Merged()
    put_preset(merged, preset)
    reading = Reading(merged, catalogue)
    evaluation = evaluation_of(reading)
    if reading.problems or evaluation is None:
        refuse(reading.problems)
    return evaluation


def put_preset(merged: Merged, preset: str) -> None:
    """Let a preset, as after `--preset`, take the place of what `[evaluate]` says."""
    merged.tables["evaluate"] = {}
    merged.put(("evaluate", "preset"), preset, words=f"--preset {preset}")


def evaluation_of(reading: Reading) -> Evaluation | None:
    """How the recipe says that samples are scored; None where it does not, or with problems."""
    if "evaluate" not in reading.merged.tables:
        return None
    table = reading.table("evaluate")
    if table is None or not lay_preset(reading, table):
        return None
    features = _features(reading, table)
    settings = reading.options(
        EvaluateSettings,
        {key: value for key, value in table.items() if key not in {"features", "protocol"}},
        path=("evaluate",),
        title="[evaluate]",
    )
    protocol = _protocol(reading, table)
    if not features or settings is None:
        return None
    return Evaluation(features=features, settings=settings, protocol=protocol)


def _features(reading: Reading, table: Mapping[str, Any]) -> tuple[Use, ...]:
    """The features, each a name or a table, one of them or an array; none, with a problem."""
    path: Path = ("evaluate", "features")
    found = table.get("features")
    each: list[Any] = found if isinstance(found, list) else [found]
    whole: list[Any] = [{"use": one} if isinstance(one, str) else one for one in each]
    if not whole or not all(isinstance(one, dict) for one in whole):
        names = ", ".join(c.name for c in reading.catalogue.components(Kind.FEATURES))
        reading.complain(
            "[evaluate] must say in which features images are compared",
            path=path if "features" in table else ("evaluate",),
            remedy=f'write features = "…", one of {names}; or preset = "…"',
        )
        return ()
    paths = [(*path, k) if isinstance(found, list) else path for k in range(len(whole))]
    uses = [reading.use(Kind.FEATURES, one, path=at) for one, at in zip(whole, paths, strict=True)]
    ids = [use.component.id for use in uses if use is not None]
    if len(set(ids)) < len(ids):
        reading.complain(
            "features: the same features stand twice",
            path=path,
            remedy="leave one of them out",
            at_value=True,
        )
    return tuple(use for use in uses if use is not None)


def _protocol(reading: Reading, table: Mapping[str, Any]) -> Protocol | None:
    protocol = table.get("protocol")
    if protocol is None:
        return None
    path: Path = ("evaluate", "protocol")
    if not isinstance(protocol, dict):
        reading.complain(
            "protocol is a table", path=path, remedy="write [evaluate.protocol]", at_value=True
        )
        return None
    found: Protocol | None = reading.options(
        Protocol, protocol, path=path, title="[evaluate.protocol]"
    )
    return found
