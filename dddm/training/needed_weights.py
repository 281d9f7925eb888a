"""The files of weights that a recipe or the installed components need, and their verification.

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
    """A file of weights, and the components that may need it, such as `metric dddm:lpips`."""

    file: WeightFile
    components: tuple[str, ...]


def weights_of(catalogue: Catalogue) -> tuple[NeededWeights, ...]:
    """Every file that an installed component may need, ordered by name."""
    needed: dict[WeightFile, list[str]] = {}
    for component in catalogue.components():
        for file in component.weights:
            needed.setdefault(file, []).append(f"{component.kind.value} {component.id}")
    return tuple(
        NeededWeights(file=file, components=tuple(dict.fromkeys(components)))
        for file, components in sorted(needed.items(), key=lambda item: item[0].name)
    )


def weights_named(catalogue: Catalogue, names: Sequence[str]) -> tuple[NeededWeights, ...]:
    """The files with these names; without names, all that a component may need.

    Raises:
        UsageError: if no component needs a file of this name.
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


def verify_weights(configs: Iterable[ComponentConfig]) -> None:
    """Verify every file of weights that components and their nested components need.

    Raises:
        DataError: if some are missing or wrong; all of them at once.
        EnvironmentProblem: if one cannot be read.
        PluginError: if a component cannot say what it needs.
    """
    files = dict.fromkeys(
        file
        for top in configs
        for config in top.with_nested()
        for file in config.component.weights_for(config.options)
    )
    verify_files(files)


def verify_files(files: Iterable[WeightFile]) -> None:
    """Verify files of weights.

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
