"""The table `[evaluate]`: in which features samples are scored, and by which scores."""

from collections.abc import Mapping
from typing import Any, Final

from dddm.interfaces.plugin import Kind
from dddm.recipe.locate import Path
from dddm.recipe.merge import Node
from dddm.recipe.model import ComponentConfig, Evaluation
from dddm.recipe.presets import lay_preset
from dddm.recipe.problems import nearest, refuse
from dddm.recipe.protocol import Protocol
from dddm.recipe.reader import Reader
from dddm.registry.catalogue import Catalogue

KEYS: Final = ("features", "scores", "protocol")
"""What `[evaluate]` may say beside `preset`."""


def read_evaluation(preset: str, *, catalogue: Catalogue) -> Evaluation:
    """How a preset says that images are scored, without a recipe.

    Raises:
        RecipeError: if there is no such preset, or it is wrong.
        PluginError: if plugins alone are at fault.
    """
    reader = Reader(with_preset(Node.from_words({}), preset), catalogue)
    evaluation = evaluation_of(reader)
    if reader.problems or evaluation is None:
        refuse(reader.problems)
    return evaluation


def with_preset(root: Node, preset: str) -> Node:
    """The recipe with a preset, as after `--preset`, in place of its `[evaluate]`."""
    evaluate = Node.from_words({"preset": preset}, f"--preset {preset}")
    return Node({**root.table, "evaluate": evaluate}, root.origin)


def evaluation_of(reader: Reader) -> Evaluation | None:
    """How the recipe says that samples are scored; None where it does not, or with problems."""
    if "evaluate" not in reader.tables:
        return None
    if reader.table("evaluate") is None or not lay_preset(reader):
        return None
    table = reader.tables["evaluate"]
    for key in table.keys() - set(KEYS):
        reader.add_problem(
            f"[evaluate] has no option {key!r}",
            path=("evaluate", key),
            remedy=nearest(key, KEYS),
        )
    features = _features(reader, table)
    scores = _scores(reader, table)
    protocol = _protocol(reader, table)
    if not features or not scores:
        return None
    return Evaluation(features=features, scores=scores, protocol=protocol)


def _features(reader: Reader, table: Mapping[str, Any]) -> tuple[ComponentConfig, ...]:
    """The features, each a name or a table, one of them or an array; none, with a problem."""
    found = table.get("features")
    uses = _uses(reader, Kind.FEATURES, found)
    if uses is None:
        reader.add_problem(
            "[evaluate] must say in which features images are compared",
            path=("evaluate", "features") if "features" in table else ("evaluate",),
            remedy=f'write features = "…", one of {_names(reader, Kind.FEATURES)}; or preset = "…"',
        )
        return ()
    return uses


def _scores(reader: Reader, table: Mapping[str, Any]) -> tuple[ComponentConfig, ...]:
    """The scores, each a name or a table; the default ones where none are named."""
    names = _names(reader, Kind.SCORE)
    by_default = [c.id for c in reader.catalogue.components(Kind.SCORE) if c.default]
    found = table.get("scores", by_default)
    uses = _uses(reader, Kind.SCORE, found) if isinstance(found, list) else None
    if uses is None:
        reader.add_problem(
            "[evaluate] must say in scores what is measured, in an array",
            path=("evaluate", "scores") if "scores" in table else ("evaluate",),
            remedy=f'write scores = ["…"], of {names}'
            if names
            else "install a plugin that has scores",
            of_plugin=not names,
        )
        return ()
    return uses


def _uses(reader: Reader, kind: Kind, found: Any) -> tuple[ComponentConfig, ...] | None:
    """Components, each a name or a table, one of them or an array; None where it is neither."""
    path: Path = ("evaluate", _KEY_OF[kind])
    each: list[Any] = found if isinstance(found, list) else [found]
    whole: list[Any] = [{"use": one} if isinstance(one, str) else one for one in each]
    if not whole or not all(isinstance(one, dict) for one in whole):
        return None
    paths = [(*path, k) if isinstance(found, list) else path for k in range(len(whole))]
    uses = [reader.use(kind, one, path=at) for one, at in zip(whole, paths, strict=True)]
    ids = [use.component.id for use in uses if use is not None]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        reader.add_problem(
            f"{_KEY_OF[kind]}: {twice} is named twice",
            path=path,
            remedy="leave one of them out",
            at_value=True,
        )
    return tuple(use for use in uses if use is not None)


_KEY_OF: Final = {Kind.FEATURES: "features", Kind.SCORE: "scores"}


def _names(reader: Reader, kind: Kind) -> str:
    return ", ".join(component.name for component in reader.catalogue.components(kind))


def _protocol(reader: Reader, table: Mapping[str, Any]) -> Protocol | None:
    protocol = table.get("protocol")
    if protocol is None:
        return None
    path: Path = ("evaluate", "protocol")
    if not isinstance(protocol, dict):
        reader.add_problem(
            "protocol is a table", path=path, remedy="write [evaluate.protocol]", at_value=True
        )
        return None
    found: Protocol | None = reader.options(
        Protocol, protocol, path=path, title="[evaluate.protocol]"
    )
    return found
