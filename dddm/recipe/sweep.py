"""`[[sweep]]`: several recipes in one, each a table of changes laid over what stands around it.

    [[sweep]]
    name = "l1"
    metric = { use = "l1" }

Order: defaults < the file it extends < the file < the entry < `--set`.  The recipe without its
sweep must be right by itself: what is wrong there is said once, not for every entry.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final, final

from attrs import evolve, frozen

from dddm.errors import UsageError
from dddm.recipe import reported
from dddm.recipe.merge import Merged
from dddm.recipe.model import Recipe
from dddm.recipe.overrides import apply_override
from dddm.recipe.problems import Problem, nearest, refuse
from dddm.recipe.read import check, may_name_a_folder, merge_files
from dddm.registry.catalogue import Catalogue

_KEY: Final = "sweep"
_AROUND: Final = ("format", "requires", "extends")
"""What is said once, for all entries."""

_TAKEN: Final = ("sweep.json", "sweep.md", "sweep.html", "recipe.toml", "run.json")
"""Files beside the entries' folders, or those by which a run folder is known."""


@final
@frozen(kw_only=True)
class Entry:
    """One recipe of a sweep.

    Attributes:
        name: also the name of its run folder within the sweep's.
        changes: what it says, without its name and without defaults.
        recipe: all that it resolves to; called as the sweep, a hyphen, and the entry.
    """

    name: str
    changes: Mapping[str, Any]
    recipe: Recipe


@final
@frozen(kw_only=True)
class Sweep:
    """A recipe with its sweep.

    Attributes:
        base: the recipe without the sweep.
        entries: in the order of the file; none where the recipe has no sweep.
    """

    base: Recipe
    entries: tuple[Entry, ...]

    def entry(self, name: str) -> Entry:
        """The entry called so.

        Raises:
            UsageError: if there is none.
        """
        names = [entry.name for entry in self.entries]
        if name in names:
            return self.entries[names.index(name)]
        if not names:
            raise UsageError(
                f"{self.base.name} is one recipe, without entries",
                where=f"--entry {name}",
                remedy="leave --entry out, or add [[sweep]] to the recipe",
            )
        raise UsageError(
            f"the sweep {self.base.name} has no entry {name!r}",
            where=f"--entry {name}",
            remedy=nearest(name, names),
        )


def read_sweep(
    recipe: str | FilePath, *, overrides: Sequence[str] = (), catalogue: Catalogue
) -> Sweep:
    """Read, merge and check a recipe and every entry of its sweep.

    Args:
        recipe: a path, or the name of a recipe that comes with dddm.
        overrides: KEY=VALUE, as after `--set`; they hold for every entry, but for those that
            reach into one, such as `sweep.0.metric.c=0.1`.
        catalogue: the components that it may use.

    Raises:
        RecipeError: with everything that is wrong and where it stands.
        PluginError: if plugins alone are at fault.
    """
    written = merge_files(recipe)
    within = [words for words in overrides if _reaches_within(words)]
    around = [words for words in overrides if not _reaches_within(words)]
    problems = _apply(written, within)
    merged = written.without(_KEY)
    problems += _apply(merged, around)
    if problems:
        refuse(problems)
    base, problems = check(merged, catalogue)
    own: list[Problem] = []
    found: list[tuple[str, Problem]] = []
    entries: list[Entry] = []
    for index, table in enumerate(_tables(written, own)):
        name = _name(written, index, table, own)
        changes = {key: value for key, value in table.items() if key != "name"}
        if not _is_allowed(written, index, changes, own):
            continue
        laid, wrong = _lay(written, index, changes, name=name, overrides=around)
        read, more = (None, []) if wrong else check(laid, catalogue)
        found += [(name, problem) for problem in (*wrong, *more) if problem not in problems]
        if read is not None:
            entries.append(Entry(name=name, changes=changes, recipe=read))
    problems += own + _by_entry(found)
    if problems or base is None:
        refuse(problems)
    return Sweep(base=base, entries=tuple(entries))


def _reaches_within(words: str) -> bool:
    return words.partition("=")[0].split(".")[0].strip() == _KEY


def _apply(merged: Merged, overrides: Sequence[str]) -> list[Problem]:
    return [problem for words in overrides if (problem := apply_override(merged, words))]


def _tables(written: Merged, problems: list[Problem]) -> list[dict[str, Any]]:
    """The entries as they are written; none, with a problem, where they are no tables."""
    value = written.tables.get(_KEY, [])
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    problems.append(
        Problem(
            what="sweep must be tables, one for each entry",
            remedy='write [[sweep]] and under it name = "…" and what it changes',
            origin=written.origin((_KEY,)),
        )
    )
    return []


def _name(written: Merged, index: int, table: Mapping[str, Any], problems: list[Problem]) -> str:
    """The entry's name; its number, with a problem, where that cannot be one."""
    name = table.get("name")
    path = (_KEY, index, "name") if "name" in table else (_KEY, index)
    remedy = 'write, for instance, name = "l1"'
    before = [other.get("name") for other in written.tables[_KEY][:index]]
    alike = [other for other in before if isinstance(other, str) and isinstance(name, str)]
    if not isinstance(name, str) or not may_name_a_folder(name):
        what = "an entry needs a name of letters, digits, '.', '_' and '-'"
    elif name.casefold() in _TAKEN:
        what = f"an entry cannot be called {name}: a file beside its folder is"
    elif name.casefold() in map(str.casefold, alike):
        what = f"there is an entry {name!r} already; upper and lower case are not told apart"
        remedy = "each entry has a folder of its own: give it another name"
    else:
        return name
    problems.append(
        Problem(what=what, remedy=remedy, origin=written.origin(path), at_value="name" in table)
    )
    return name if isinstance(name, str) and may_name_a_folder(name) else str(index)


def _is_allowed(
    written: Merged, index: int, changes: Mapping[str, Any], problems: list[Problem]
) -> bool:
    """Whether an entry changes only what may be changed; a problem for each other key."""
    before = len(problems)
    for key in changes:
        if key == _KEY:
            what, remedy = "an entry cannot hold a sweep", "write its entries one by one"
        elif key in _AROUND:
            what, remedy = (
                f"an entry cannot change {key}",
                "say it above the sweep, for all entries",
            )
        else:
            continue
        origin = written.origin((_KEY, index, key))
        problems.append(Problem(what=what, remedy=remedy, origin=origin))
    return len(problems) == before


def _lay(
    written: Merged,
    index: int,
    changes: dict[str, Any],
    *,
    name: str,
    overrides: Sequence[str],
) -> tuple[Merged, list[Problem]]:
    """One entry's tables, called as the recipe, a hyphen, and the entry; and wrong overrides."""
    laid = written.without(_KEY)
    laid.tables.pop(reported.KEY, None)  # an entry is another recipe
    laid.lay_over(changes, written=(_KEY, index))
    problems = _apply(laid, overrides)
    around = laid.tables.get("name")
    if isinstance(around, str):
        laid.lay_over({"name": f"{around}-{name}"}, written=(_KEY, index))
    return laid, problems


def _by_entry(found: Sequence[tuple[str, Problem]]) -> list[Problem]:
    """Each problem once, with the names of the entries that have it."""
    names: list[tuple[Problem, list[str]]] = []
    for name, problem in found:
        same = next((those for known, those in names if known == problem), None)
        if same is None:
            names.append((problem, [name]))
        else:
            same.append(name)
    return [evolve(problem, what=f"{_entries(those)}: {problem.what}") for problem, those in names]


def _entries(names: Sequence[str]) -> str:
    return f"entry {names[0]}" if len(names) == 1 else f"entries {', '.join(names)}"
