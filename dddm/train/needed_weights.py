"""Which files of weights a recipe or the installed components need, and whether they are there.

Imports no torch.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import final

from attrs import frozen

from dddm.errors import DataError, DddmError, UsageError
from dddm.interfaces.plugin import WeightFile
from dddm.recipe.model import ComponentConfig
from dddm.registry.catalogue import Catalogue
from dddm.support.weights import find_weights


@final
@frozen(kw_only=True)
class NeededWeights:
    """A file of weights, and who may need it.

    Attributes:
        components: ids of the components, each with its kind in front, as in `metric dddm:lpips`.
    """

    file: WeightFile
    components: tuple[str, ...]


def weights_of(catalogue: Catalogue) -> tuple[NeededWeights, ...]:
    """Every file that an installed component may need, in order of names."""
    needed: dict[WeightFile, list[str]] = {}
    for component in catalogue.components():
        for file in component.weights:
            needed.setdefault(file, []).append(f"{component.kind.value} {component.id}")
    return tuple(
        NeededWeights(file=file, components=tuple(dict.fromkeys(components)))
        for file, components in sorted(needed.items(), key=lambda item: item[0].name)
    )


def weights_named(catalogue: Catalogue, names: Sequence[str]) -> tuple[NeededWeights, ...]:
    """The files called so; without names, every one that a component may need.

    Raises:
        UsageError: if no component needs a file of one of the names.
    """
    every = weights_of(catalogue)
    known = [needed.file.name for needed in every]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
            raise UsageError(
                f"no installed component needs weights called {name!r}",
                remedy=f"did you mean {near[0]}?" if near else "see `dddm weights list`",
            )
    return tuple(needed for needed in every if not names or needed.file.name in names)


def verify_weights(uses: Iterable[ComponentConfig]) -> None:
    """Verify every file of weights that components, and what they hold, need; before all else.

    Raises:
        DataError: if some are missing or wrong; all of them at once.
        EnvironmentProblem: if one cannot be read.
        PluginError: if a component cannot say what it needs.
    """
    files = dict.fromkeys(
        file
        for top in uses
        for use in top.with_nested()
        for file in use.component.weights_for(use.options)
    )
    verify_files(files)


def verify_files(files: Iterable[WeightFile]) -> None:
    """Verify these files.

    Raises:
        DataError: if some are missing or wrong; all of them at once.
        EnvironmentProblem: if one cannot be read.
    """
    problems: list[DddmError] = []
    for file in files:
        try:
            find_weights(file)
        except DataError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise DataError(
            f"{len(problems)} files of weights are missing or wrong\n"
            + "\n".join(str(problem) for problem in problems)
        )
