"""`[[sweep]]`: several recipes in one file, each a table of changes to the recipe around it.

    [[sweep]]
    name = "l1"
    metric = { use = "l1" }

Order: defaults < the file it extends < the file < the entry < `--set`.  The recipe without its
sweep must be valid on its own; what is wrong there is shown once, not for every entry.

With `training_seeds = [0, 1, 2]` every entry is trained once with each seed, and the results are
compared as means: then entries that cannot be compared are refused.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final, final

from attrs import Factory, evolve, frozen

from dddm.errors import UsageError
from dddm.recipe.layout import SEEDS, SWEEP_KEYS, may_name_a_folder
from dddm.recipe.left_out import with_name
from dddm.recipe.merge import (
    Node,
    Override,
    Overrides,
    apply_overrides,
    as_overrides,
    merge,
    merge_files,
)
from dddm.recipe.model import Recipe
from dddm.recipe.read import check
from dddm.recipe.source import Origin, Problem, nearest, refuse
from dddm.recipe.surveys import Surveys
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue

_KEY: Final = "sweep"
_TRAINING_SEEDS: Final = "training_seeds"
_SHARED: Final = ("format", "requires", "extends", _TRAINING_SEEDS)
"""Keys that hold for all entries, so that none can change them."""

_MOST_RUNS: Final = 500
_RESERVED: Final = ("sweep.json", "sweep.md", "sweep.html", "recipe.toml", "run.json")
"""Files next to the entries' folders, and those that mark a run folder."""


@final
@frozen(kw_only=True)
class EntryRun:
    """One training of an entry.

    Attributes:
        name: `l1`, or `l1/seed-0` with training seeds; also its run folder within the sweep's.
        recipe: with the training seed as its `seed`; named `SWEEP-l1`, or `SWEEP-l1-seed-0`.
        seed: the training seed; None in a sweep without.
    """

    name: str
    recipe: Recipe
    seed: int | None = None


@final
@frozen(kw_only=True)
class Entry:
    """One recipe of a sweep.

    Attributes:
        changes: what it says, without its name and without defaults.
        recipe: what it resolves to without a training seed; its name is the sweep's, a hyphen, and
            the entry's.
        runs: its trainings, one for each training seed; a single one in a sweep without.
    """

    name: str
    changes: Mapping[str, Any]
    recipe: Recipe
    runs: tuple[EntryRun, ...] = Factory(
        lambda self: (EntryRun(name=self.name, recipe=self.recipe),), takes_self=True
    )


@final
@frozen(kw_only=True)
class Sweep:
    """A recipe with entries, at least one.

    Attributes:
        base: the recipe without the sweep.
        entries: in the order of the file.
        training_seeds: with each of which every entry is trained; empty without.
        warnings: why entries cannot be compared with the rest; with training seeds that is refused.
    """

    base: Recipe
    entries: tuple[Entry, ...]
    training_seeds: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[EntryRun, ...]:
        """All trainings: every entry with the first seed, then with the next.

        So that a sweep that is stopped has all entries rather than all seeds of a few.
        """
        return tuple(
            run for runs in zip(*(e.runs for e in self.entries), strict=True) for run in runs
        )

    def entries_of(self, runs: Sequence[EntryRun]) -> tuple[Entry, ...]:
        """The entries that these are runs of."""
        return tuple(entry for entry in self.entries if any(one in runs for one in entry.runs))


def read_recipe_or_sweep(
    recipe: str | FilePath | Node,
    *,
    overrides: Overrides = (),
    catalogue: Catalogue,
    surveys: Surveys | None = None,
) -> Recipe | Sweep:
    """Read, merge and check a recipe with every entry of its sweep, if it has one.

    Args:
        recipe: a path, the name of a recipe that comes with dddm, or merged tables.
        overrides: they hold for every entry, except those that change one of them, such as
            `sweep.0.metric.c=0.1`.
        catalogue: the components that it may use.
        surveys: what looks at the files of data sets; by default only where it must.

    Raises:
        RecipeError: with everything that is wrong, each with its position.
        PluginError: if plugins alone are at fault.
        DataError: if images or weights alone are.
    """
    written = as_overrides(overrides)
    to_sweep = [one for one in written if _changes_sweep(one)]
    to_all = [one for one in written if not _changes_sweep(one)]
    merged = recipe if isinstance(recipe, Node) else merge_files(recipe)
    whole, problems = apply_overrides(merged, to_sweep)
    whole = with_name(whole)
    base, more = apply_overrides(whole.without(*SWEEP_KEYS), to_all)
    if problems or more:
        refuse([*problems, *more])
    surveys = surveys or Surveys()
    checked, problems = check(base, catalogue, surveys)
    sweep = whole.table.get(_KEY)
    if sweep is None or sweep.value == []:
        if sweep is None and _TRAINING_SEEDS in whole.table:
            problems.append(_seeds_without_sweep(whole.table[_TRAINING_SEEDS]))
        if problems or checked is None:
            refuse(problems)
        return checked
    seeds, found = _training_seeds(whole)
    runs = len(sweep.value) * max(1, len(seeds)) if isinstance(sweep.value, list) else 0
    if runs > _MOST_RUNS:
        what = f"this sweep has {runs:,} runs, and a sweep may have {_MOST_RUNS}"
        remedy = "make several sweeps of it"
        refuse([*problems, Problem(what=what, remedy=remedy, origin=sweep.origin)])
    problems += found
    if seeds:
        problems += _overridden_seeds(to_all)
    found, entries = _read_entries(
        whole,
        overrides=to_all,
        catalogue=catalogue,
        known=problems,
        seeds=seeds,
        surveys=surveys,
    )
    problems += found
    if problems or checked is None:
        refuse(problems)
    apart = _not_comparable(sweep.value, entries)
    if seeds and apart:
        refuse(apart)
    return Sweep(
        base=checked,
        entries=entries,
        training_seeds=tuple(node.value for node in seeds),
        warnings=tuple(f"{problem.origin.short}: {problem.what}" for problem in apart),
    )


def read_one(
    recipe: str | FilePath | Node, *, overrides: Overrides = (), entry: str | None = None
) -> Recipe:
    """A recipe without a sweep, or one entry of a sweep; see `Recipe.from_file`."""
    read = read_recipe_or_sweep(recipe, overrides=overrides, catalogue=load_catalogue())
    if isinstance(read, Recipe) and entry is None:
        return read
    runs = (
        read.runs if isinstance(read, Sweep) and entry is None else choose_runs(read, entry or "")
    )
    if entry is None or len(runs) > 1:
        names = ", ".join(run.name for run in runs)
        raise UsageError(
            "this is a sweep, and one recipe is wanted",
            where="entry",
            remedy=f'choose a run of it, such as entry="{runs[0].name}"; there are {names}',
        )
    return runs[0].recipe


def choose_runs(read: Recipe | Sweep, name: str) -> tuple[EntryRun, ...]:
    """The runs of the entry `l1`, or the one run `l1/seed-0`.

    Raises:
        UsageError: if there is none.
    """
    if isinstance(read, Sweep):
        for run in read.runs:
            if run.name == name:
                return (run,)
    return choose_entry(read, name).runs


def choose_entry(read: Recipe | Sweep, name: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: if there is none.
    """
    where = f"--entry {name}"
    if not isinstance(read, Sweep):
        remedy = "leave --entry out, or add [[sweep]] to the recipe"
        raise UsageError(f"{read.name} is a single recipe, not a sweep", where=where, remedy=remedy)
    by_name = {entry.name: entry for entry in read.entries}
    if name not in by_name:
        what = f"the sweep {read.base.name} has no entry {name!r}"
        raise UsageError(what, where=where, remedy=nearest(name, by_name))
    return by_name[name]


def _changes_sweep(override: Override) -> bool:
    return override.key.split(".")[0].strip() in SWEEP_KEYS


def _seeds_without_sweep(node: Node) -> Problem:
    return Problem(
        what="training_seeds are those of a sweep, and this recipe has none",
        remedy="write seed = … for a single recipe, or add [[sweep]]",
        origin=node.origin,
    )


def _training_seeds(whole: Node) -> tuple[list[Node], list[Problem]]:
    """The seeds, none where there is no such key, and what is wrong with them."""
    node = whole.table.get(_TRAINING_SEEDS)
    if node is None:
        return [], []
    seeds, remedy = node.plain(), "write, for instance, training_seeds = [0, 1, 2]"
    if not isinstance(seeds, list) or not seeds:
        what = "training_seeds must be a list of one seed or more"
    elif not all(type(seed) is int and 0 <= seed < SEEDS for seed in seeds):
        what = "training_seeds must be whole numbers of at least 0 and below 2^63"
    elif len(set(seeds)) < len(seeds):
        what, remedy = "training_seeds has a seed twice", "leave out the second one"
    else:
        return node.value, []
    return [], [Problem(what=what, remedy=remedy, origin=node.origin, at_value=True)]


def _overridden_seeds(overrides: Sequence[Override]) -> list[Problem]:
    """A problem for each `--set seed=…`, which would make all training seeds one."""
    return [
        Problem(
            what="the sweep's training_seeds decide the seed",
            remedy="write --set training_seeds=[…]",
            origin=Origin(words=one.words),
        )
        for one in overrides
        if one.key == "seed"
    ]


def _read_entries(
    whole: Node,
    *,
    overrides: Sequence[Override],
    catalogue: Catalogue,
    known: Sequence[Problem],
    seeds: Sequence[Node],
    surveys: Surveys,
) -> tuple[list[Problem], tuple[Entry, ...]]:
    """All entries, and what is wrong with them except for the known problems of the base."""
    sweep = whole.table[_KEY]
    if not isinstance(sweep.value, list) or not all(
        isinstance(node.value, dict) for node in sweep.value
    ):
        what = "sweep must be an array of tables, one for each entry"
        remedy = 'write [[sweep]] and under it name = "…" and what it changes'
        return [Problem(what=what, remedy=remedy, origin=sweep.origin)], ()
    base = whole.without(*SWEEP_KEYS, "reported")  # results reported for the base do not hold here
    problems: list[Problem] = []
    names_by_problem: dict[Problem, list[str]] = {}
    entries: list[Entry] = []
    for index, node in enumerate(sweep.value):
        name, wrong_name = _name(sweep.value, index)
        forbidden = _forbidden_keys(node, seeds=bool(seeds))
        problems += [*wrong_name, *forbidden]
        if forbidden:
            continue
        changes = node.without("name")
        merged = evolve(merge(base, changes), origin=base.origin)
        merged, found = apply_overrides(merged, overrides)
        merged = _extend_name(merged, name, origin=node.table.get("name", node).origin)
        recipe, found = (None, found) if found else check(merged, catalogue, surveys)
        for problem in found:
            if problem not in known:
                names_by_problem.setdefault(problem, []).append(name)
        if recipe is None:
            continue
        entry = Entry(name=name, changes=changes.plain(), recipe=recipe)
        if seeds:
            entry = evolve(
                entry,
                runs=tuple(_with_seed(merged, seed, name, catalogue, surveys) for seed in seeds),
            )
        entries.append(entry)
    for problem, names in names_by_problem.items():
        label = f"{'entry' if len(names) == 1 else 'entries'} {', '.join(names)}"
        problems.append(evolve(problem, what=f"{label}: {problem.what}"))
    return problems, tuple(entries)


def _not_comparable(nodes: Sequence[Node], entries: Sequence[Entry]) -> list[Problem]:
    """A problem for each entry whose scores are of other images than those of most entries."""
    compared: tuple[tuple[str, str, Callable[[Recipe], object]], ...] = (
        ("data", "is trained on other images", lambda recipe: recipe.tables["data"]),
        ("evaluate", "is scored in another way", lambda recipe: recipe.tables.get("evaluate")),
        (
            "sample",
            "draws another number of images",
            lambda recipe: sorted({spec.images for spec in recipe.sample}),
        ),
    )
    problems = []
    for key, what, facts_of in compared:
        facts = [facts_of(entry.recipe) for entry in entries]
        shown = [json.dumps(own, sort_keys=True) for own in facts]
        usual = shown.index(Counter(shown).most_common(1)[0][0])
        for node, entry, own, words in zip(nodes, entries, facts, shown, strict=True):
            if not _alike(own, facts[usual]):
                problem = Problem(
                    what=f"entry {entry.name} {what} than {entries[usual].name}, so that their "
                    f"scores cannot be compared: {words} rather than {shown[usual]}",
                    remedy=f"write [{key}] above the sweep, for all entries",
                    origin=node.table.get(key, node.table["name"]).origin,
                )
                problems.append(problem)
    return problems


def _alike(own: object, usual: object) -> bool:
    """Whether facts are equal; of numbers of images, whether one entry has all of the other's."""
    if isinstance(own, list) and isinstance(usual, list):
        return set(own) <= set(usual) or set(own) >= set(usual)
    return own == usual


def _extend_name(recipe: Node, name: str, *, origin: Origin) -> Node:
    """The recipe, its name followed by a hyphen and `name`."""
    before = recipe.plain().get("name")
    if not isinstance(before, str):
        return recipe
    return evolve(recipe, value={**recipe.table, "name": Node(f"{before}-{name}", origin)})


def _with_seed(
    entry: Node, seed: Node, name: str, catalogue: Catalogue, surveys: Surveys
) -> EntryRun:
    """A run of a valid entry with a valid seed."""
    folder = f"seed-{seed.value}"
    seeded = _extend_name(entry, folder, origin=seed.origin)
    recipe, problems = check(
        evolve(seeded, value={**seeded.table, "seed": seed}), catalogue, surveys
    )
    if recipe is None:
        refuse(problems)
    return EntryRun(name=f"{name}/{folder}", recipe=recipe, seed=seed.value)


def _name(entries: Sequence[Node], index: int) -> tuple[str, list[Problem]]:
    """The entry's name, or its number and a problem."""
    node = entries[index]
    name = node.plain().get("name")
    before = {str(other.plain().get("name")).casefold() for other in entries[:index]}
    remedy = 'write, for instance, name = "l1"'
    valid = isinstance(name, str) and may_name_a_folder(name)
    if not valid:
        what = "an entry needs a name of letters, digits, '.', '_' and '-'"
    elif name.casefold() in _RESERVED:
        what = f"an entry cannot be named {name}: the sweep writes a file of that name"
    elif name.casefold() in before:
        what = f"there is already an entry {name!r}; names are compared without case"
        remedy = "each entry has its own folder: give it another name"
    else:
        return name, []
    origin = node.table.get("name", node).origin
    problem = Problem(what=what, remedy=remedy, origin=origin, at_value="name" in node.table)
    return (name if valid else str(index)), [problem]


def _forbidden_keys(entry: Node, *, seeds: bool) -> list[Problem]:
    """A problem for each key that an entry cannot change.

    Args:
        seeds: whether the sweep has training seeds.
    """
    problems = [
        Problem(
            what="an entry cannot contain a sweep"
            if key == _KEY
            else f"an entry cannot change {key}",
            remedy="write its entries one by one"
            if key == _KEY
            else "write it above the sweep, for all entries",
            origin=node.origin,
        )
        for key, node in entry.table.items()
        if key in {_KEY, *_SHARED}
    ]
    if seeds and "seed" in entry.table:
        what = "an entry cannot set seed where the sweep has training_seeds"
        remedy = "leave it out: every entry is trained with each of the training_seeds"
        problems.append(Problem(what=what, remedy=remedy, origin=entry.table["seed"].origin))
    return problems
