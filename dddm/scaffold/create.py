"""One new package: named, filled and written."""

import datetime as dt
import shlex
from pathlib import Path
from typing import final

from attrs import frozen

from dddm.errors import UsageError
from dddm.interfaces.plugin import Kind
from dddm.scaffold.names import Names, names_of, refuse_clashes
from dddm.scaffold.package import Author, files_of, refuse_full, write_package


@final
@frozen(kw_only=True)
class Created:
    """What was written.

    Attributes:
        files: their paths, relative to the folder.
    """

    names: Names
    folder: Path
    files: tuple[str, ...]

    @property
    def next_commands(self) -> tuple[str, ...]:
        """What to type next: in its folder, install it, test it, and run its recipe."""
        enter = () if self.folder == Path() else (f"cd {shlex.quote(str(self.folder))}",)
        return (
            *enter,
            "python -m pip install -e '.[test]'",
            "python -m pytest",
            "dddm run recipe.toml",
        )


def create(
    name: str,
    *,
    kind: Kind,
    folder: Path | None = None,
    component: str | None = None,
    author: str | None = None,
    licence: str | None = "MIT",
) -> Created:
    """Write the package `name`, whose one component is of `kind`.

    Args:
        folder: where to; None for one called as the package, here.
        component: what recipes call it; None for the namespace.
        author: None for "the authors of the package".
        licence: `MIT`, or None for none.

    Raises:
        UsageError: if a name cannot be used or is taken, or the folder is not empty.
        EnvironmentProblem: if there is no space or no right to write.
    """
    names = names_of(name, kind=kind, component=component)
    folder = Path(names.distribution) if folder is None else folder
    # Before names: who gives the same command twice is told of the folder, not of its contents.
    refuse_full(folder)
    refuse_clashes(names)
    if author is None:
        author = f"The {names.distribution} authors"
    if not author.strip() or not author.isprintable():
        raise UsageError(
            f"{author!r} is no name of an author",
            where="--author",
            remedy="write a name on one line",
        )
    year = dt.datetime.now(tz=dt.UTC).year
    files = files_of(names, author=Author(author=author, year=year, licence=licence))
    write_package(files, folder=folder)
    return Created(names=names, folder=folder, files=tuple(files))
