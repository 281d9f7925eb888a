"""`[[sweep]]`: several recipes in one file, each a table of changes to the recipe around it.

    [[sweep]]
    name = "l1"
    metric = { use = "l1" }

Order: defaults < the file it extends < the file < the entry < `--set`.  The recipe without its
sweep must be valid on its own; what is wrong there is shown once, not for every entry.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final, final

from attrs import evolve, frozen

from dddm.errors import UsageError
from dddm.recipe.layout import may_name_a_folder
from dddm.recipe.merge import Node, apply_overrides, merge, merge_files
from dddm.recipe.model import Recipe
from dddm.recipe.read import check
from dddm.recipe.source import Problem, nearest, refuse
from dddm.registry.catalogue import Catalogue

_KEY: Final = "sweep"
_SHARED: Final = ("format", "requires", "extends")
"""Keys that hold for all entries, so that none can change them."""

_RESERVED: Final = ("sweep.json", "sweep.md", "sweep.html", "recipe.toml", "run.json")
"""Files next to the entries' folders, and those that mark a run folder."""


@final
@frozen(kw_only=True)
class Entry:
    """One recipe of a sweep.

    Attributes:
        name: also the name of its run folder within the sweep's.
        changes: what it says, without its name and without defaults.
        recipe: what it resolves to; its name is the sweep's, a hyphen, and the entry's.
    """

    name: str
    changes: Mapping[str, Any]
    recipe: Recipe


@final
@frozen(kw_only=True)
class Sweep:
    """A recipe with entries, at least one.

    Attributes:
        base: the recipe without the sweep.
        entries: in the order of the file.
    """

    base: Recipe
    entries: tuple[Entry, ...]


def read_recipe_or_sweep(
    recipe: str | FilePath, *, overrides: Sequence[str] = (), catalogue: Catalogue
) -> Recipe | Sweep:
    """Read, merge and check a recipe with every entry of its sweep, if it has one.

    Args:
        recipe: a path, or the name of a recipe that comes with dddm.
        overrides: KEY=VALUE, as after `--set`; they hold for every entry, except those that
            change one of them, such as `sweep.0.metric.c=0.1`.
        catalogue: the components that it may use.

    Raises:
        RecipeError: with everything that is wrong, each with its position.
        PluginError: if plugins alone are at fault.
    """
    to_sweep = [words for words in overrides if _changes_sweep(words)]
    to_all = [words for words in overrides if not _changes_sweep(words)]
    whole, problems = apply_overrides(merge_files(recipe), to_sweep)
    base, more = apply_overrides(whole.without(_KEY), to_all)
    if problems or more:
        refuse([*problems, *more])
    checked, problems = check(base, catalogue)
    sweep = whole.table.get(_KEY)
    if sweep is None or sweep.value == []:
        if checked is None:
            refuse(problems)
        return checked
    found, entries = _read_entries(whole, overrides=to_all, catalogue=catalogue, known=problems)
    problems += found
    if problems or checked is None:
        refuse(problems)
    return Sweep(base=checked, entries=entries)


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


def _changes_sweep(words: str) -> bool:
    return words.partition("=")[0].split(".")[0].strip() == _KEY


def _read_entries(
    whole: Node, *, overrides: Sequence[str], catalogue: Catalogue, known: Sequence[Problem]
) -> tuple[list[Problem], tuple[Entry, ...]]:
    """All entries, and what is wrong with them except for the known problems of the base."""
    sweep = whole.table[_KEY]
    if not isinstance(sweep.value, list) or not all(
        isinstance(node.value, dict) for node in sweep.value
    ):
        what = "sweep must be an array of tables, one for each entry"
        remedy = 'write [[sweep]] and under it name = "…" and what it changes'
        return [Problem(what=what, remedy=remedy, origin=sweep.origin)], ()
    base = whole.without(_KEY, "reported")  # results reported for the base do not hold here
    problems: list[Problem] = []
    names_by_problem: dict[Problem, list[str]] = {}
    entries: list[Entry] = []
    for index, node in enumerate(sweep.value):
        name, wrong_name = _name(sweep.value, index)
        forbidden = _forbidden_keys(node)
        problems += [*wrong_name, *forbidden]
        if forbidden:
            continue
        changes = node.without("name")
        merged = evolve(merge(base, changes), origin=base.origin)
        merged, found = apply_overrides(merged, overrides)
        base_name = merged.plain().get("name")
        if isinstance(base_name, str):
            named = Node(f"{base_name}-{name}", node.table.get("name", node).origin)
            merged = evolve(merged, value={**merged.table, "name": named})
        recipe, found = (None, found) if found else check(merged, catalogue)
        for problem in found:
            if problem not in known:
                names_by_problem.setdefault(problem, []).append(name)
        if recipe is not None:
            entries.append(Entry(name=name, changes=changes.plain(), recipe=recipe))
    for problem, names in names_by_problem.items():
        label = f"{'entry' if len(names) == 1 else 'entries'} {', '.join(names)}"
        problems.append(evolve(problem, what=f"{label}: {problem.what}"))
    return problems, tuple(entries)


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


def _forbidden_keys(entry: Node) -> list[Problem]:
    """A problem for each key that an entry cannot change."""
    return [
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
