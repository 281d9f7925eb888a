"""`dddm weights`: lists, verifies and downloads the files of weights that components need."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from dddm.cli.options import catalogue_of, json_option, show_json

if TYPE_CHECKING:
    from dddm.interfaces.plugin import WeightFile
    from dddm.training.needed_weights import NeededWeights


@click.group()
def weights() -> None:
    """List, verify and fetch the files of weights that components need.

    They are searched for in the folders of $DDDM_WEIGHTS, then in torch's hub cache, and used only
    if size and SHA-256 match.  Nothing is downloaded except by `dddm weights fetch`.

    \b
    Examples:
      dddm weights list
      dddm weights verify
      dddm weights fetch vgg16-397923af.pth --to ~/weights
    """  # noqa: D301 - click reads the backspace as "do not rewrap"


def _complete(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del parameter
    from dddm.training.needed_weights import weights_of

    files = (needed.file for needed in weights_of(catalogue_of(ctx)))
    return [CompletionItem(file.name) for file in files if file.name.startswith(incomplete)]


@weights.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """List every file that an installed component may need, and where it was found.

    This compares only names; `dddm weights verify` compares sizes and hashes.

    \b
    Examples:
      dddm weights list
      dddm weights list --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.support.weights import search_folders
    from dddm.training.needed_weights import weights_of

    every = weights_of(catalogue_of(ctx))
    if as_json:
        folders = [str(folder) for folder in search_folders()]
        show_json({"folders": folders, "files": [_facts(needed) for needed in every]})
        return
    for needed in every:
        click.secho(needed.file.name, bold=True, nl=False)
        click.echo(f"  {needed.file.size_bytes:,} bytes, for {', '.join(needed.components)}")
        click.echo(f"  {', '.join(_found(needed.file)) or 'not found'}")
    click.echo("searched: " + ", ".join(map(str, search_folders())))


@weights.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete)
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    names: tuple[str, ...],
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Compare size and SHA-256 of the files NAME, or of all that are present.

    Fails if one is wrong, or if a named one is missing.

    \b
    Examples:
      dddm weights verify
      dddm weights verify vgg16-397923af.pth
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.errors import DataError
    from dddm.support.weights import find_weights, paths_of
    from dddm.training.needed_weights import verify_files, weights_named

    files = [needed.file for needed in weights_named(catalogue_of(ctx), names)]
    states: list[dict[str, str | None]] = []
    failed: list[WeightFile] = []
    for file in files:
        present = bool(paths_of(file))
        try:
            state, path = "ok", str(find_weights(file))
        except DataError:
            state, path = "wrong" if present else "not found", ", ".join(_found(file))
            if present or names:
                failed.append(file)
        states.append({"name": file.name, "state": state, "path": path or None})
    if as_json:
        show_json(states)
    else:
        for row in states:
            click.echo(f"{row['state']:<9}  {row['path'] or row['name']}")
    verify_files(failed)


@weights.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to put them in; by default the first one that is searched.",
)
@click.pass_context
def fetch(ctx: click.Context, names: tuple[str, ...], folder: Path | None) -> None:
    """Download the files NAME, and keep each only if size and SHA-256 match.

    Repeat the command to resume an interrupted download.

    \b
    Examples:
      dddm weights fetch vgg16-397923af.pth
      dddm weights fetch vgg16-397923af.pth --to ~/weights
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.errors import EnvironmentProblem
    from dddm.support.files import user_path
    from dddm.support.weights import FOLDERS_VARIABLE, search_folders
    from dddm.training.needed_weights import weights_named

    needed = weights_named(catalogue_of(ctx), names)
    to = search_folders()[0] if folder is None else user_path(str(folder))
    if not to.is_absolute():
        raise EnvironmentProblem("there is no home folder", where=str(to), remedy="use --to FOLDER")
    for one in needed:
        click.echo(str(_fetch(one.file, to)))
    if to.absolute() not in [known.absolute() for known in search_folders()]:
        click.echo(
            f"dddm does not search this folder: set {FOLDERS_VARIABLE}={to.absolute()}", err=True
        )


def _fetch(file: "WeightFile", folder: Path) -> Path:
    from dddm.support.download import fetch as download

    with click.progressbar(length=file.size_bytes, label=file.name, file=sys.stderr) as bar:
        return download(file, folder=folder, progress=lambda there: bar.update(there - bar.pos))


def _found(file: "WeightFile") -> list[str]:
    from dddm.support.weights import paths_of

    return [str(path) for path in paths_of(file)]


def _facts(needed: "NeededWeights") -> dict[str, Any]:
    file = needed.file
    return {
        "name": file.name,
        "bytes": file.size_bytes,
        "sha256": file.sha256,
        "url": file.url,
        "components": list(needed.components),
        "found": _found(file),
    }
