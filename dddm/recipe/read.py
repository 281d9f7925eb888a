"""From the files of a recipe to a checked `Recipe`.

Defaults < the file it extends < the file < `--set`.  All errors are shown at once.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path as FilePath
from typing import Any, Final

from attrs import fields
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from dddm.errors import UsageError
from dddm.interfaces.info import ObjectiveInfo
from dddm.interfaces.plugin import Kind
from dddm.recipe import reported
from dddm.recipe.cross_checks import check_together, needs_of
from dddm.recipe.evaluation import evaluation_of, with_preset
from dddm.recipe.layout import (
    COMPONENT_TABLES,
    DEFAULTS,
    FORMAT,
    KEYS,
    LONGEST_NAME,
    OPTIONAL,
    SEEDS,
    SWEEP_KEYS,
    may_name_a_folder,
)
from dddm.recipe.left_out import LeftOut, with_name
from dddm.recipe.locate import Path
from dddm.recipe.merge import Node, Overrides, apply_overrides, merge_files
from dddm.recipe.model import (
    ComponentConfig,
    Evaluation,
    Guidance,
    Recipe,
    SampleSettings,
    SampleSpec,
    TrainSettings,
    config_table,
    plain,
)
from dddm.recipe.reader import Reader
from dddm.recipe.source import Origin, Problem, nearest, refuse
from dddm.recipe.surveys import Surveys
from dddm.registry.catalogue import Catalogue

_NAMES: Final = (("evaluate", "features"), ("evaluate", "scores"))
"""Where a component may be given by its name alone."""
_FROM_FORMAT_1: Final = (
    "write format = 2; train.learning_rate… became the table [learning_rate] with `rate`, "
    "train.adam_… [optimizer], train.estimate_dropout and the metric guided-mix options of "
    "[objective], train.accumulate accumulation_steps, train.more_emas extra_ema_decays, and "
    "evaluate.metrics evaluate.scores"
)


def read_recipe(
    recipe: str | FilePath,
    *,
    overrides: Sequence[str] = (),
    preset: str | None = None,
    catalogue: Catalogue,
) -> Recipe:
    """Read, merge and check a recipe, without its sweep; see also `sweep.read_recipe_or_sweep`.

    Args:
        recipe: a path, or the name of a recipe that comes with dddm.
        overrides: KEY=VALUE, as after `--set`.
        preset: how to score instead of what its `[evaluate]` says, as after `--preset`.
        catalogue: the components that it may use.

    Raises:
        RecipeError: with everything that is wrong, each with its position.
        PluginError: if plugins alone are at fault.
    """
    root, problems = apply_overrides(merge_files(recipe).without(*SWEEP_KEYS), overrides)
    if problems:
        refuse(problems)
    if preset is not None:
        root = with_preset(root, preset)
    checked, problems = check(root, catalogue)
    if checked is None:
        refuse(problems)
    return checked


def check(
    root: Node, catalogue: Catalogue, surveys: Surveys | None = None
) -> tuple[Recipe | None, list[Problem]]:
    """The recipe that tables describe, and everything that is wrong; None only with problems.

    Args:
        surveys: of the files of data sets, shared between the recipes of a sweep.
    """
    reader = Reader(with_name(root), catalogue, surveys)
    checked = _check(reader)
    return (None if reader.problems else checked), reader.problems


def _check(reader: Reader) -> Recipe | None:
    _check_top(reader)
    single = _single_components(reader)
    train: TrainSettings | None = None
    absent = reader.incomplete and "train" not in reader.tables
    train_table = None if absent else reader.table("train")
    if train_table is not None:
        unchosen = reader.incomplete and "batch_images" not in train_table
        given = {"batch_images": 1, **train_table} if unchosen else train_table
        train = reader.options(TrainSettings, given, path=("train",), title="[train]")
        train = None if unchosen else train
    sample = _sample_tables(reader)
    evaluate = evaluation_of(reader)
    observe = _observers(reader)
    results = reported.read_reported(reader)
    recipe, tables = None, reader.tables
    if not reader.problems and train is not None:
        tables = {
            "format": FORMAT,
            "name": reader.tables["name"],
            "seed": reader.tables.get("seed", 0),
            **({"requires": reader.tables["requires"]} if reader.tables.get("requires") else {}),
            **{name: config_table(one) for name, one in single.items() if one is not None},
            "train": plain(train),
            **_arrays(sample, evaluate, observe),
        }
        fingerprint = _fingerprint(tables)
        results = reported.with_changes(results, origins=_origins(tables, reader.root))
        if results:
            tables[reported.KEY] = reported.to_tables(results)
        recipe = Recipe(
            name=tables["name"],
            seed=tables["seed"],
            **single,
            train=train,
            sample=tuple(
                SampleSpec(
                    sampler=sampler,
                    steps=table.steps,
                    images=table.images,
                    seed=seed,
                    random_classes=table.classes == "random",
                    guidance=Guidance.make(table.guidance, table.guidance_interval),
                    block_images=table.block_images,
                    precision=table.precision,
                    compile=table.compile,
                )
                for sampler, table in sample
                for seed in range(table.seed, table.seed + table.seeds)
            ),
            evaluate=evaluate,
            observe=observe,
            reported=results,
            tables=tables,
            fingerprint=fingerprint,
            origins=_origins(tables, reader.root),
        )
    check_together(reader, train=train, sample=sample, evaluate=evaluate, tables=tables)
    return recipe


def _check_top(reader: Reader) -> None:
    tables = reader.tables
    for key in tables.keys() - set(KEYS):
        reader.add_problem(f"a recipe has no key {key!r}", path=(key,), remedy=nearest(key, KEYS))
    version_written, name, seed = tables.get("format"), tables.get("name"), tables.get("seed", 0)
    if version_written != FORMAT or isinstance(version_written, bool):
        reader.add_problem(
            "the recipe does not say in which format it is written"
            if version_written is None
            else f"format is {version_written!r}, and this dddm reads format {FORMAT}",
            path=("format",) if "format" in tables else (),
            remedy=_FROM_FORMAT_1
            if version_written == 1 and not isinstance(version_written, bool)
            else f"write format = {FORMAT} as its first line",
            at_value=True,
        )
    if not isinstance(name, str) or not may_name_a_folder(name):
        reader.add_problem(
            f"the recipe needs a name of at most {LONGEST_NAME} letters, digits, '.', '_' and '-', "
            "which also names its run folder",
            path=("name",) if "name" in tables else (),
            remedy='write, for instance, name = "my-digits"',
            at_value=True,
        )
    if type(seed) is not int or not 0 <= seed < SEEDS:
        reader.add_problem(
            f"seed: expected a whole number of at least 0 and below 2^63, found {seed!r}",
            path=("seed",),
            at_value=True,
        )
    _check_requirements(reader)


def _check_requirements(reader: Reader) -> None:
    requires = reader.tables.get("requires", [])
    if not isinstance(requires, list) or not all(isinstance(item, str) for item in requires):
        reader.add_problem(
            "requires must be a list of requirements, as text",
            path=("requires",),
            remedy='write, for instance, requires = ["dddm-focal>=1.2"]',
            at_value=True,
        )
        return
    for index, text in enumerate(requires):
        path = ("requires", index)
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            words = str(error).splitlines()[0]
            reader.add_problem(
                f"{text!r} is not a valid requirement: {words}", path=path, at_value=True
            )
            continue
        try:
            found: str | None = version(requirement.name)
        except PackageNotFoundError:
            reader.missing.add(canonicalize_name(requirement.name))
            found = None
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            reader.add_problem(
                f"the recipe needs {text}, but {requirement.name} is "
                + ("not installed" if found is None else f"installed as {found}"),
                path=path,
                remedy=f"python -m pip install '{text}'",
                of_plugin=True,
                at_value=True,
            )


def _single_components(reader: Reader) -> dict[str, Any]:
    """The component of each table that holds one, its default if left out; None for none."""
    data = _single(reader, "data")
    left_out = LeftOut(reader, data)
    left_out.fill_objective()
    objective = _single(reader, "objective")
    needs = None if objective is None else needs_of(reader, objective)
    if needs is not None and objective is not None:
        left_out.fill(needs, objective=objective.component.name)
    else:
        reader.incomplete = True
    if needs is not None:
        unused = set(_unused(reader, needs))
    else:  # it cannot be known which of these tables it would use
        unused = {"targets", "metric"} - reader.tables.keys()
    if reader.incomplete:
        unused |= COMPONENT_TABLES.keys() - reader.tables.keys()
    others = [name for name in COMPONENT_TABLES if name not in {"data", "objective"}]
    return {
        "objective": objective,
        "data": data,
        **{name: None if name in unused else _single(reader, name) for name in others},
    }


def _single(reader: Reader, name: str) -> ComponentConfig | None:
    default, table = DEFAULTS.get(name), reader.tables.get(name)
    if table is None and name in OPTIONAL:
        return None
    table = {} if table is None and default is not None else reader.table(name)
    if table is None:
        return None
    return reader.component(COMPONENT_TABLES[name], table, path=(name,), default=default)


def _unused(reader: Reader, needs: ObjectiveInfo) -> Iterator[str]:
    """Tables that the objective does not use; a problem for each that was written with it.

    A table from a recipe that this one extends was written for another objective, so that it is
    passed over.
    """
    chosen = _layer(reader.root.find(("objective",))[0].origin)
    for name, used, why in (
        ("targets", bool(needs.memory), "keeps no estimates"),
        ("metric", needs.metric, "uses no metric"),
    ):
        if used:
            continue
        node, written = reader.root.find((name,))
        origin = node.table["use"].origin if "use" in node.table else node.origin
        if written and _layer(origin) in {chosen, None}:
            reader.add_problem(
                f"the objective {why}, so [{name}] has no meaning",
                path=(name,),
                remedy=f"leave [{name}] out, or choose another objective",
            )
        yield name


def _layer(origin: Origin) -> tuple[object, ...] | None:
    """What is written together: a file without its sweep, or one entry; None for `--set`."""
    if origin.source is None:
        return None
    return (origin.source.file, *(origin.path[:2] if origin.path[:1] == ("sweep",) else ()))


def _sample_tables(reader: Reader) -> tuple[tuple[ComponentConfig, SampleSettings], ...]:
    own = frozenset(setting.name for setting in fields(SampleSettings))
    tables = []
    for index, table in enumerate(reader.array("sample")):
        path = ("sample", index)
        sampler = reader.component(Kind.SAMPLER, table, path=path, reserved=own)
        settings = reader.options(
            SampleSettings,
            {key: value for key, value in table.items() if key in own},
            path=path,
            title="[[sample]]",
        )
        if settings is not None and not settings.steps:
            reader.add_problem(
                "steps: there is no step count to draw samples at",
                path=(*path, "steps"),
                remedy="write, for instance, steps = [1, 2, 10]",
                at_value=True,
            )
        if settings is not None:
            _check_guidance(reader, settings, path=path)
        if sampler is not None and settings is not None:
            tables.append((sampler, settings))
    return tuple(tables)


def _check_guidance(reader: Reader, settings: SampleSettings, *, path: Path) -> None:
    try:
        Guidance.make(settings.guidance, settings.guidance_interval)
    except UsageError as error:
        reader.add_problem(
            error.what, path=(*path, str(error.where)), remedy=error.remedy, at_value=True
        )


def _observers(reader: Reader) -> tuple[ComponentConfig, ...] | None:
    if "observe" not in reader.tables:
        return None
    found = [
        reader.component(Kind.OBSERVER, table, path=("observe", index))
        for index, table in enumerate(reader.array("observe"))
    ]
    return tuple(one for one in found if one is not None)


def _arrays(
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
    evaluate: Evaluation | None,
    observe: Sequence[ComponentConfig] | None,
) -> dict[str, Any]:
    """The tables of what there may be several of, with every default."""
    tables: dict[str, Any] = {}
    if sample:
        tables["sample"] = [
            {**config_table(sampler), **plain(settings)} for sampler, settings in sample
        ]
    if evaluate is not None:
        features = [config_table(one) for one in evaluate.features]
        tables["evaluate"] = {
            "scores": [config_table(one) for one in evaluate.scores],
            "features": features if len(features) > 1 else features[0],
        }
        if evaluate.protocol is not None:
            tables["evaluate"]["protocol"] = plain(evaluate.protocol)
        if evaluate.baselines is not None:
            tables["evaluate"]["baselines"] = list(evaluate.baselines)
    if observe is not None:
        tables["observe"] = [config_table(one) for one in observe]
    return tables


def _fingerprint(tables: Mapping[str, Any]) -> str:
    canonical = json.dumps(tables, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _origins(tables: Mapping[str, Any], root: Node) -> dict[str, str]:
    """Where each value came from, by its dotted key: `default`, `digits.toml:12` or `--set …`."""
    origins = {}
    for path in _leaves(tables, (), root):
        node, written = root.find(path)
        if not written and path[:2] in _NAMES and path[-1] == "use":
            # A name alone is short for a table with `use`.
            node, written = root.find(path[:-1])
        origins[".".join(map(str, path))] = node.origin.short if written else "default"
    return origins


def _leaves(value: Any, path: Path, root: Node) -> Iterator[Path]:
    """Paths of all values that are neither tables nor arrays of tables.

    An array that is not written counts as one value: `--set` cannot change an item of it.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key), root)
    elif value and _is_tables(value) and root.find(path)[1]:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index), root)
    else:
        yield path


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def read_component(
    kind: Kind, name: str, *, options: Overrides = (), catalogue: Catalogue
) -> ComponentConfig:
    """A component by name, with options written KEY=VALUE on the command line, or of Python.

    Raises:
        PluginError: if there is no such component.
        UsageError: if an option does not fit it.
    """
    root, problems = apply_overrides(Node.from_words({"use": name}), options)
    if not problems:
        catalogue.find(kind, name)
        reader = Reader(root, catalogue)
        use = reader.component(kind, reader.tables, path=())
        if use is not None:
            return use
        problems = reader.problems
    shown = (str(problem).replace("--set ", "--option ") for problem in problems)
    raise UsageError("\n".join(shown))


def read_sampler(
    name: str | None,
    *,
    options: Overrides,
    own: ComponentConfig | None,
    catalogue: Catalogue,
) -> ComponentConfig:
    """The sampler of a name; without one, the recipe's.

    Args:
        options: of it; with any, the others have their defaults.
        own: the sampler of the recipe's first `[[sample]]`; None for algorithm 2.

    Raises:
        UsageError: for a wrong option.
        PluginError: if there is no such sampler.
    """
    if name is None and own is not None:
        if not options:
            return own
        name = own.component.id
    return read_component(Kind.SAMPLER, name or "fixed-time", options=options, catalogue=catalogue)
