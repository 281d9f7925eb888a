"""The table `[evaluate]`, and presets of it.

A preset is a TOML file with `format = 2`, a `summary` and a table `[evaluate]`.  What a recipe's
own `[evaluate]` says beside `preset` is merged over it; the checked recipe holds the result.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from dddm.interfaces.measurement import BASELINES
from dddm.interfaces.plugin import Kind
from dddm.recipe.layout import FORMAT
from dddm.recipe.locate import Path
from dddm.recipe.merge import Node, merge
from dddm.recipe.model import ComponentConfig, Evaluation
from dddm.recipe.protocol import Protocol
from dddm.recipe.reader import Reader
from dddm.recipe.source import (
    Origin,
    Problem,
    Source,
    nearest,
    refuse,
    refuse_outside,
    shipped_folder,
)
from dddm.registry.catalogue import Catalogue
from dddm.support.files import is_file

_KEYS: Final = ("features", "scores", "baselines", "protocol")
_PRESET_KEYS: Final = ("format", "summary", "evaluate")


def preset_names() -> list[str]:
    """Names of the presets that come with dddm, without `.toml`."""
    return sorted(path.stem for path in (shipped_folder() / "presets").glob("*.toml"))


def preset_summaries() -> dict[str, str]:
    """What each preset that comes with dddm measures, by name."""
    return {
        name: str(tomllib.loads(_preset_file(name).read_text(encoding="utf-8"))["summary"])
        for name in preset_names()
    }


def read_evaluation(preset: str, *, catalogue: Catalogue) -> Evaluation:
    """How a preset says that images are scored, without a recipe.

    Raises:
        RecipeError: if there is no such preset, or it is wrong.
        PluginError: if plugins alone are at fault.
    """
    reader = Reader(with_preset(Node.from_words({}), preset), catalogue)
    evaluation = evaluation_of(reader)
    if evaluation is None or reader.problems:
        refuse(reader.problems)
    return evaluation


def with_preset(root: Node, preset: str) -> Node:
    """The recipe with a preset, as after `--preset`, in place of its `[evaluate]`."""
    evaluate = Node.from_words({"preset": preset}, f"--preset {preset}")
    return Node({**root.table, "evaluate": evaluate}, root.origin)


def evaluation_of(reader: Reader) -> Evaluation | None:
    """How the recipe says that samples are scored; None where it does not, or with problems."""
    if "evaluate" not in reader.tables or reader.table("evaluate") is None:
        return None
    if "preset" in reader.tables["evaluate"] and not _merge_preset(reader):
        return None
    table = reader.tables["evaluate"]
    for key in table.keys() - set(_KEYS):
        reader.add_problem(
            f"[evaluate] has no option {key!r}",
            path=("evaluate", key),
            remedy=nearest(key, _KEYS),
        )
    features = _components(reader, Kind.FEATURES, table.get("features"))
    defaults = [one.id for one in reader.catalogue.components(Kind.SCORE) if one.default]
    scores = _components(reader, Kind.SCORE, table.get("scores", defaults))
    protocol, baselines = _protocol(reader, table), _baselines(reader, table)
    if not features or not scores:
        return None
    return Evaluation(features=features, scores=scores, protocol=protocol, baselines=baselines)


def _components(reader: Reader, kind: Kind, written: Any) -> tuple[ComponentConfig, ...]:
    """Features or scores, each a name or a table; only features need no array if they are one."""
    key = "features" if kind is Kind.FEATURES else "scores"
    path: Path = ("evaluate", key)
    alone = kind is Kind.FEATURES and not isinstance(written, list)
    each: list[Any] = [written] if alone else written if isinstance(written, list) else []
    tables: list[Any] = [{"use": one} if isinstance(one, str) else one for one in each]
    if not tables or not all(isinstance(table, dict) for table in tables):
        names = ", ".join(one.name for one in reader.catalogue.components(kind))
        example, what, remedy = '["…"]', "scores must list what is measured", ""
        if kind is Kind.FEATURES:
            example, remedy = '"…"', '; or preset = "…"'
            what = "features must say in which features images are compared"
        reader.add_problem(
            f"[evaluate] {what}",
            path=path if key in reader.tables["evaluate"] else path[:1],
            remedy=f"write {key} = {example}, of {names}{remedy}"
            if names
            else f"install a plugin that has {key}",
            of_plugin=not names,
        )
        return ()
    paths = [path] if alone else [(*path, index) for index in range(len(tables))]
    uses = [reader.component(kind, table, path=at) for table, at in zip(tables, paths, strict=True)]
    found = tuple(use for use in uses if use is not None)
    ids = [use.component.id for use in found]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        reader.add_problem(
            f"{key}: {twice} is listed twice",
            path=path,
            remedy="remove one of them",
            at_value=True,
        )
    return found


def _baselines(reader: Reader, table: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of baselines; None, the default, where the recipe does not say."""
    written = table.get("baselines")
    if written is None or isinstance(written, bool):
        return None if written is None else BASELINES if written else ()
    names = written if isinstance(written, list) else [written]
    wrong = [name for name in names if name not in BASELINES]
    if isinstance(written, list) and not wrong:
        return tuple(dict.fromkeys(names))
    what = f"there is no baseline {wrong[0]!r}" if wrong else "baselines must be an array of names"
    remedy = f"write false, true, or an array of {', '.join(BASELINES)}"
    reader.add_problem(what, path=("evaluate", "baselines"), remedy=remedy, at_value=True)
    return None


def _protocol(reader: Reader, table: Mapping[str, Any]) -> Protocol | None:
    protocol = table.get("protocol")
    if protocol is None:
        return None
    path: Path = ("evaluate", "protocol")
    if not isinstance(protocol, dict):
        reader.add_problem(
            "protocol must be a table", path=path, remedy="write [evaluate.protocol]", at_value=True
        )
        return None
    found: Protocol | None = reader.options(
        Protocol, protocol, path=path, title="[evaluate.protocol]"
    )
    for index, required in enumerate(() if found is None else found.data_options or ()):
        if "=" not in required:
            reader.add_problem(
                f"data_options: {required!r} does not say which value the option must have",
                path=(*path, "data_options", index),
                remedy='write its name, = and the value, such as "resize=adm"',
                at_value=True,
            )
    return found


def _merge_preset(reader: Reader) -> bool:
    """Merge `[evaluate]` over the preset that it names; False, with problems, if that is wrong."""
    own = reader.root.table["evaluate"]
    named = own.table["preset"]
    file = _find_preset(reader, named)
    if file is None:
        return False
    by = named.origin.source
    if by is not None:
        refuse_outside(file, root=by.file, origin=named.origin)
    source = Source.read(file, named_by=None if by is None else named.origin)
    problems = _problems_of(source)
    reader.problems += problems
    if not problems:
        preset = Node.from_file(source).table["evaluate"]
        merged = merge(preset, own.without("preset"), ("evaluate",))
        reader.replace(Node({**reader.root.table, "evaluate": merged}, reader.root.origin))
    return not problems


def _preset_file(name: str) -> FilePath:
    return shipped_folder() / "presets" / f"{name}.toml"


def _find_preset(reader: Reader, named: Node) -> FilePath | None:
    """The file of a preset by its name, or by its path relative to where it is named."""
    name, source = named.plain(), named.origin.source
    if isinstance(name, str):
        if name in preset_names():
            return _preset_file(name)
        file = (FilePath.cwd() if source is None else source.file.parent) / name
        if name.endswith(".toml") and is_file(file):
            return file
    reader.add_problem(
        f"there is no preset {name!r}, neither one that comes with dddm nor a file of that name",
        path=("evaluate", "preset"),
        remedy=nearest(str(name), preset_names()) + " (your own preset is named by its .toml file)",
        at_value=True,
    )
    return None


def _problems_of(preset: Source) -> list[Problem]:
    def problem(what: str, *path: str, remedy: str) -> Problem:
        return Problem(what=what, remedy=remedy, origin=Origin(source=preset, path=path))

    found = [
        problem(f"a preset has no key {key!r}", key, remedy=nearest(key, _PRESET_KEYS))
        for key in preset.tables.keys() - set(_PRESET_KEYS)
    ]
    if preset.tables.get("format") != FORMAT:
        remedy = f"write format = {FORMAT} as its first line"
        found.append(problem("the preset does not name its format", remedy=remedy))
    table = preset.tables.get("evaluate")
    if not isinstance(table, dict):
        found.append(problem("the preset has no table [evaluate]", remedy="add [evaluate]"))
    elif "preset" in table:
        remedy = "copy the values of that preset instead"
        found.append(problem("a preset cannot use another", "evaluate", "preset", remedy=remedy))
    return found
