"""Looks at the files of a recipe's data sets, each once while the recipe is read."""

from typing import final

from dddm.interfaces.plugin import DataSurvey
from dddm.recipe.model import ComponentConfig


@final
class Surveys:
    """What was found so far.

    Attributes:
        every: whether files are looked at in any case, as by `dddm check`; otherwise only where a
            table that is left out depends on the images.
    """

    def __init__(self, *, every: bool = False) -> None:
        self.every = every
        self._found: dict[str, DataSurvey | None] = {}

    def of(self, data: ComponentConfig) -> DataSurvey | None:
        """Of a data set; None for one that has no files to look at.

        Raises:
            PluginError: if its plugin fails.
        """
        key = _key(data)
        if key not in self._found:
            self._found[key] = data.component.look(data.options)
        return self._found[key]

    def has(self, data: ComponentConfig) -> bool:
        """Whether its files were looked at already."""
        return _key(data) in self._found

    @property
    def looked_at(self) -> list[str]:
        """What was read, a clause each."""
        found = (one.looked_at for one in self._found.values() if one is not None)
        return list(dict.fromkeys(clause for clause in found if clause))


def _key(data: ComponentConfig) -> str:
    return f"{data.component.id} {data.options!r}"
