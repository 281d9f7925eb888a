"""From the text of a recipe to a checked `Recipe`.

defaults < the file it extends < the file < `--set`.  All errors are shown at once.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import Any, Final

from attrs import fields

from dddm.errors import UsageError
from dddm.interfaces.info import ObjectiveInfo
from dddm.interfaces.plugin import Kind
from dddm.recipe import reported
from dddm.recipe.cross_checks import check_together
from dddm.recipe.defaults import DEFAULTS
from dddm.recipe.evaluation import evaluation_of, put_preset
from dddm.recipe.layers import read_layers
from dddm.recipe.locate import Path
from dddm.recipe.merge import Merged
from dddm.recipe.model import (
    ComponentConfig,
    Recipe,
    SampleSettings,
    SampleSpec,
    TrainSettings,
)
from dddm.recipe.needs import needs_of
from dddm.recipe.options import Reading
from dddm.recipe.overrides import apply_override
from dddm.recipe.problems import Origin, Problem, nearest, refuse
from dddm.recipe.requirements import check_requirements
from dddm.recipe.resolve import fingerprint_of, origins_of, resolve
from dddm.registry.catalogue import Catalogue

FORMAT: Final = 2

SINGLE: Final = {
    "data": Kind.DATASET,
    "objective": Kind.OBJECTIVE,
    "schedule": Kind.SCHEDULE,
    "parametrization": Kind.PARAMETRIZATION,
    "backbone": Kind.BACKBONE,
    "metric": Kind.METRIC,
    "targets": Kind.TARGET_STORE,
    "optimizer": Kind.OPTIMIZER,
    "learning_rate": Kind.LEARNING_RATE,
}
"""Tables of one component each."""

OPTIONAL: Final = ("parametrization",)
"""Those that stand for nothing where they are left out."""

_SEEDS: Final = 2**63
_FROM_FORMAT_1: Final = (
    "write format = 2; train.learning_rate… became the table [learning_rate] with `rate`, "
    "train.adam_… [optimizer], train.estimate_dropout and the metric guided-mix options of "
    "[objective], train.accumulate accumulation_steps, train.more_emas extra_ema_decays, and "
    "evaluate.metrics evaluate.scores"
)

KEYS: Final = (
    "format", "name", "seed", "requires", "extends", *SINGLE, "train", "sample", "evaluate",
    "observe", "reported", "sweep",
)  # fmt: skip
"""All that may stand at the top of a recipe."""


def read_recipe(
    recipe: str | FilePath,
    *,
    overrides: Sequence[str] = (),
    preset: str | None = None,
    catalogue: Catalogue,
) -> Recipe:
    """Read, merge and check a recipe; its sweep is left out, which `sweep.read_sweep` reads.

    Args:
        recipe: a path, or the name of a recipe that comes with dddm.
        overrides: KEY=VALUE, as after `--set`.
        preset: how to score instead of what its `[evaluate]` says, as after `--preset`.
        catalogue: the components that it may use.

    Raises:
        RecipeError: with everything that is wrong and where it stands.
        PluginError: if plugins alone are at fault.
    """
    merged = merge_files(recipe)
    wrong = [problem for words in overrides if (problem := apply_override(merged, words))]
    if wrong:
        refuse(wrong)
    if preset is not None:
        put_preset(merged, preset)
    checked, problems = check(merged.without("sweep"), catalogue)
    if problems or checked is None:
        refuse(problems)
    return checked


def merge_files(recipe: str | FilePath) -> Merged:
    """The tables of a recipe and of those that it extends, nothing of them checked.

    Raises:
        RecipeError: if a file cannot be read.
    """
    merged = Merged()
    for layer in read_layers(recipe):
        merged.tables.pop(reported.KEY, None)  # what is printed of one recipe is not of another
        merged.add_file(layer)
    merged.tables.pop("extends", None)
    return merged


def check(merged: Merged, catalogue: Catalogue) -> tuple[Recipe | None, list[Problem]]:
    """The recipe that tables say, and all that is wrong with them; None only with problems."""
    reading = Reading(merged, catalogue)
    checked = _check(reading)
    return (None if reading.problems else checked), reading.problems


def _check(reading: Reading) -> Recipe | None:
    _check_top(reading)
    uses = _single_components(reading)
    train: TrainSettings | None = None
    train_table = reading.table("train")
    if train_table is not None:
        train = reading.options(TrainSettings, train_table, path=("train",), title="[train]")
    sample = _sample_tables(reading)
    evaluate = evaluation_of(reading)
    observe = _observers(reading)
    results = reported.read_reported(reading)
    tables = reading.merged.tables
    if reading.problems or train is None:
        check_together(
            reading,
            uses=reading.uses,
            train=train,
            sample=sample,
            evaluate=evaluate,
            tables=tables,
        )
        return None
    found = {name: use for name, use in uses.items() if use is not None}
    resolved = resolve(
        name=tables["name"],
        seed=tables.get("seed", 0),
        requires=tables.get("requires", []),
        uses=found,
        train=train,
        sample=sample,
        evaluate=evaluate,
        observe=observe,
    )
    fingerprint = fingerprint_of(resolved)
    results = reported.with_changes(results, origins=origins_of(resolved, reading.merged))
    if results:
        resolved[reported.KEY] = reported.to_tables(results)
    recipe = Recipe(
        name=tables["name"],
        seed=tables.get("seed", 0),
        data=found["data"],
        objective=found["objective"],
        schedule=found["schedule"],
        parametrization=found.get("parametrization"),
        backbone=found["backbone"],
        metric=found.get("metric"),
        targets=found.get("targets"),
        optimizer=found["optimizer"],
        learning_rate=found["learning_rate"],
        train=train,
        sample=tuple(
            SampleSpec(sampler=sampler, steps=table.steps, images=table.images, seed=seed)
            for sampler, table in sample
            for seed in range(table.seed, table.seed + table.seeds)
        ),
        evaluate=evaluate,
        observe=observe,
        reported=results,
        tables=resolved,
        fingerprint=fingerprint,
        origins=origins_of(resolved, reading.merged),
    )
    check_together(
        reading,
        uses=reading.uses,
        train=train,
        sample=sample,
        evaluate=evaluate,
        tables=resolved,
    )
    return recipe


def _check_top(reading: Reading) -> None:
    tables = reading.merged.tables
    for key in tables.keys() - set(KEYS):
        reading.complain(f"a recipe has no key {key!r}", path=(key,), remedy=nearest(key, KEYS))
    if tables.get("format") != FORMAT or isinstance(tables.get("format"), bool):
        reading.complain(
            "the recipe must say in which format it is written",
            path=("format",) if "format" in tables else (),
            remedy=_FROM_FORMAT_1
            if tables.get("format") == 1
            else f"write format = {FORMAT} as its first line",
            at_value=True,
        )
    name = tables.get("name")
    if not isinstance(name, str) or not may_name_a_folder(name):
        reading.complain(
            "the recipe needs a name of letters, digits, '.', '_' and '-', which also names its "
            "run folder",
            path=("name",) if "name" in tables else (),
            remedy='write, for instance, name = "my-digits"',
            at_value=True,
        )
    seed = tables.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < _SEEDS:
        reading.complain(
            f"seed: expected a whole number of at least 0 and below 2^63, found {seed!r}",
            path=("seed",),
            at_value=True,
        )
    check_requirements(reading)


def may_name_a_folder(name: str) -> bool:
    """Whether a name is letters, digits, '.', '_' and '-', the first a letter or digit."""
    return name[:1].isalnum() and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)


def _single_components(reading: Reading) -> dict[str, ComponentConfig | None]:
    """The components of the tables that hold one each; of those that are left out, the defaults."""
    objective = _single(reading, "objective")
    needs = None if objective is None else needs_of(reading, objective)
    unused = set() if needs is None else set(_unused(reading, needs))
    return {
        "objective": objective,
        **{
            name: _single(reading, name)
            for name in SINGLE
            if name != "objective" and name not in unused
        },
    }


def _single(reading: Reading, name: str) -> ComponentConfig | None:
    default = DEFAULTS.get(name)
    if name not in reading.merged.tables and (default is not None or name in OPTIONAL):
        table: dict[str, Any] | None = None if default is None else {}
    else:
        table = reading.table(name)
    if table is None:
        return None
    return reading.use(SINGLE[name], table, path=(name,), default=default)


def _unused(reading: Reading, needs: ObjectiveInfo) -> Iterator[str]:
    """Tables that the objective has no use for; a problem for each that was written with it.

    One that stands in a recipe that this one extends was written for another objective.
    """
    chosen = _layer(reading.merged.origin(("objective",)))
    for name, used, why in (
        ("targets", bool(needs.memory), "keeps no estimates"),
        ("metric", needs.metric, "uses no metric"),
    ):
        if used:
            continue
        written = reading.merged.tables.get(name)
        path: Path = (name, "use") if isinstance(written, dict) and "use" in written else (name,)
        if written is not None and _layer(reading.merged.origin(path)) in {chosen, None}:
            reading.complain(
                f"the objective {why}, so [{name}] has no meaning",
                path=(name,),
                remedy=f"leave [{name}] out, or choose another objective",
            )
        yield name


def _layer(origin: Origin | None) -> tuple[object, ...] | None:
    """What is written together: a file but for its sweep, or an entry of it; None for `--set`."""
    if origin is None or origin.source is None:
        return None
    return (origin.source.file, *(origin.path[:2] if origin.path[:1] == ("sweep",) else ()))


def _sample_tables(reading: Reading) -> tuple[tuple[ComponentConfig, SampleSettings], ...]:
    own = frozenset(setting.name for setting in fields(SampleSettings))
    tables = []
    for index, table in enumerate(reading.array("sample")):
        path = ("sample", index)
        sampler = reading.use(Kind.SAMPLER, table, path=path, reserved=own)
        settings = reading.options(
            SampleSettings,
            {key: value for key, value in table.items() if key in own},
            path=path,
            title="[[sample]]",
        )
        if settings is not None and not settings.steps:
            reading.complain(
                "steps: there is no step count to draw samples at",
                path=(*path, "steps"),
                remedy="write, for instance, steps = [1, 2, 10]",
                at_value=True,
            )
        if sampler is not None and settings is not None:
            tables.append((sampler, settings))
    return tuple(tables)


def _observers(reading: Reading) -> tuple[ComponentConfig, ...] | None:
    if "observe" not in reading.merged.tables:
        return None
    uses = [
        reading.use(Kind.OBSERVER, table, path=("observe", index))
        for index, table in enumerate(reading.array("observe"))
    ]
    return tuple(use for use in uses if use is not None)


def read_use(
    kind: Kind, name: str, *, options: Sequence[str] = (), catalogue: Catalogue
) -> ComponentConfig:
    """A component by name, with options written KEY=VALUE on the command line.

    Raises:
        PluginError: if there is no such component.
        UsageError: if an option does not fit it.
    """
    merged = Merged()
    merged.tables["use"] = name
    wrong = [problem for words in options if (problem := apply_override(merged, words))]
    reading = Reading(merged, catalogue)
    if not wrong:
        catalogue.find(kind, name)
        use = reading.use(kind, merged.tables, path=())
        if use is not None:
            return use
    problems = wrong or reading.problems
    raise UsageError("\n".join(str(_as_option(problem)) for problem in problems))


def _as_option(problem: Problem) -> str:
    return str(problem).replace("--set ", "--option ")
