"""Writes a new plugin package from the templates of its kind."""

import datetime as dt
import shlex
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import jinja2
from attrs import asdict, frozen
from packaging.version import Version

from dddm.errors import UsageError
from dddm.interfaces.plugin import Kind
from dddm.recipe.write import inline
from dddm.scaffold.names import Names, check_conflicts, names_of
from dddm.support.files import raise_on_disk_full

TEMPLATES: Final = Path(__file__).parent / "templates"


@final
@frozen(kw_only=True)
class NewPackage:
    """What was written.

    Attributes:
        files: their paths, relative to the folder.
    """

    names: Names
    folder: Path
    files: tuple[str, ...]

    @property
    def next_commands(self) -> tuple[str, ...]:
        """Commands that install the package, test it, and run its recipe."""
        enter = () if self.folder == Path() else (f"cd {shlex.quote(str(self.folder))}",)
        return (
            *enter,
            "python -m pip install -e '.[test]'",
            "python -m pytest",
            "dddm run recipe.toml",
        )


def create_package(
    name: str,
    *,
    kind: Kind,
    folder: Path | None = None,
    component: str | None = None,
    author: str | None = None,
    licence: str | None = "MIT",
) -> NewPackage:
    """Write the package `name`, whose one component is of `kind`.

    Args:
        folder: None for one named like the package, in the current folder.
        component: its name in recipes; None for the namespace.
        author: for metadata and licence; None for "The … authors".
        licence: `MIT`, or None for none.

    Raises:
        UsageError: if a name is invalid or taken, or the folder is not empty.
        EnvironmentProblem: if the folder cannot be written.
    """
    names = names_of(name, kind=kind, component=component)
    folder = Path(names.distribution) if folder is None else folder
    # Before names: if the command is repeated, the folder is the problem, not the taken module.
    check_empty(folder)
    check_conflicts(names)
    author = f"The {names.distribution} authors" if author is None else author
    if not author.strip() or not author.isprintable():
        raise UsageError(
            f"{author!r} is not a valid author", where="--author", remedy="write a name on one line"
        )
    files = render(names, author=author, licence=licence)
    write_package(files, folder=folder)
    return NewPackage(names=names, folder=folder, files=tuple(files))


def render(names: Names, *, author: str, licence: str | None = "MIT") -> dict[str, str]:
    """The text of each file by its path in the package, in order of path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - it writes TOML and Python, not HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["toml"] = inline
    major, minor, *_ = Version(version("dddm")).release
    values = {
        **asdict(names, recurse=False),
        "author": author,
        "licence": licence,
        "year": dt.datetime.now(tz=dt.UTC).year,
        "kind": names.kind.value,
        "kind_file": names.kind.value.replace("-", "_"),
        "id": names.id,
        "dddm": f"{major}.{minor}",
    }
    # A template of the kind replaces a common one of the same path.
    sources = {
        path.relative_to(TEMPLATES / folder).as_posix().removesuffix(".j2"): path
        for folder in ("common", names.kind.value)
        for path in (TEMPLATES / folder).rglob("*.j2")
    }
    if licence is None:
        del sources["LICENSE"]
    # A .gitignore among the templates would be in force here.
    renamed = {"module": names.module, "gitignore": ".gitignore"}
    files = {}
    for path, source in sources.items():
        parts = [renamed.get(part, part) for part in path.split("/")]
        template = environment.get_template(source.relative_to(TEMPLATES).as_posix())
        files["/".join(parts)] = template.render(values)
    return dict(sorted(files.items()))


def write_package(files: Mapping[str, str], *, folder: Path) -> None:
    """Write the files into a folder that is new, or holds nothing but a repository's `.git`.

    Raises:
        UsageError: if it is not empty.
        EnvironmentProblem: if it cannot be written; then it is left empty.
    """
    check_empty(folder)
    with raise_on_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
            for path, text in files.items():
                file = Path(temporary, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            for entry in sorted(Path(temporary).iterdir()):
                entry.rename(folder / entry.name)


def check_empty(folder: Path) -> None:
    """Raise where a file could be overwritten.

    Raises:
        UsageError: if `folder` is a file, or contains anything but `.git`.
    """
    if folder.is_dir():
        entries = sorted(entry.name for entry in folder.iterdir() if entry.name != ".git")
        if not entries:
            return
        what = f"the folder is not empty: it contains {entries[0]}"
    elif folder.exists() or folder.is_symlink():
        what = "this is a file, not a folder"
    else:
        return
    raise UsageError(what, where=str(folder), remedy="choose another one with --folder")
