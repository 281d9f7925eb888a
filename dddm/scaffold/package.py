"""Fills the templates, and writes the package that they make."""

import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final, final

import jinja2
from attrs import asdict, frozen
from packaging.version import Version

from dddm.errors import UsageError
from dddm.recipe.write import inline
from dddm.scaffold.names import Names
from dddm.support.files import raise_on_disk_full

TEMPLATES: Final = Path(__file__).parent / "templates"
_COMMON: Final = "common"
_SUFFIX: Final = ".j2"
_MODULE: Final = "module"
"""The folder of a template that becomes the package's module."""

_HIDDEN: Final = {"gitignore": ".gitignore"}
_WITHOUT_LICENCE: Final = "LICENSE"
_MAY_BE_THERE: Final = {".git"}


@final
@frozen(kw_only=True)
class Author:
    """Who stands in the package's metadata and licence.

    Attributes:
        licence: `MIT`, or None for no licence yet.
    """

    author: str
    year: int
    licence: str | None = "MIT"


def files_of(names: Names, *, author: Author) -> Mapping[str, str]:
    """The package's files: text by path, relative to its folder, in order of path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - it writes TOML and Python, not HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["toml"] = inline
    given = {
        **asdict(names, recurse=False),
        **asdict(author),
        "kind": names.kind.value,
        "kind_file": names.kind.value.replace("-", "_"),
        "id": names.id,
        "dddm": _oldest_dddm(),
    }
    made = {
        _destination(path, names=names): environment.get_template(template).render(given)
        for path, template in _templates(names.kind.value).items()
    }
    if author.licence is None:
        del made[_WITHOUT_LICENCE]
    return dict(sorted(made.items()))


def _templates(kind: str) -> dict[str, str]:
    """Templates by the path of what they make; one of the kind goes before a common one."""
    return {
        path.relative_to(TEMPLATES / folder).as_posix().removesuffix(_SUFFIX): path.relative_to(
            TEMPLATES
        ).as_posix()
        for folder in (_COMMON, kind)
        for path in sorted((TEMPLATES / folder).rglob(f"*{_SUFFIX}"))
    }


def _destination(path: str, *, names: Names) -> str:
    parts = [names.module if part == _MODULE else part for part in path.split("/")]
    return "/".join(_HIDDEN.get(part, part) for part in parts)


def _oldest_dddm() -> str:
    """The release that the package is written for, without what only mends it: `0.1`."""
    major, minor, *_ = Version(version("dddm")).release
    return f"{major}.{minor}"


def write_package(files: Mapping[str, str], *, folder: Path) -> None:
    """Write the files into a folder that is new, or holds nothing but a repository's `.git`.

    Raises:
        UsageError: if there is something in it.
        EnvironmentProblem: if there is no space or no right to write; then nothing is in it.
    """
    refuse_full(folder)
    with raise_on_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as name:
            aside = Path(name)
            for path, text in files.items():
                (aside / path).parent.mkdir(parents=True, exist_ok=True)
                (aside / path).write_text(text, encoding="utf-8")
            for entry in sorted(aside.iterdir()):
                entry.rename(folder / entry.name)


def refuse_full(folder: Path) -> None:
    """Refuse to write where something is that could be overwritten.

    Raises:
        UsageError: if `folder` is a file, or has anything in it but `.git`.
    """
    if folder.is_dir():
        there = sorted(entry.name for entry in folder.iterdir() if entry.name not in _MAY_BE_THERE)
        if not there:
            return
        what = f"this folder is not empty: {there[0]} is in it"
    elif folder.exists() or folder.is_symlink():
        what = "this is a file, not a folder"
    else:
        return
    raise UsageError(
        what, where=str(folder), remedy="choose another one with --folder, or remove what is there"
    )
