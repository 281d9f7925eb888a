"""`dddm push`: shares a run on the Hugging Face Hub."""

import tempfile
from pathlib import Path

import click

from dddm.cli.options import (
    find_shared,
    json_option,
    precision_option,
    show_json,
    stored_images_option,
)


@click.command()
@click.argument("run")
@click.argument("repo")
@click.option("--private", is_flag=True, help="Make the repository private, if it is new.")
@click.option(
    "--revision",
    metavar="BRANCH",
    help="Branch to write to; it is made if there is none.  [default: main]",
)
@precision_option
@stored_images_option
@json_option
@click.pass_context
def push(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: str,
    repo: str,
    private: bool,  # noqa: FBT001 - click passes it by name
    revision: str | None,
    precision: str,
    images: int | None,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Share RUN as the repository REPO, USER/NAME, on the Hugging Face Hub.

    Sends averaged weights, recipe, scores, samples and a model card: what
    `dddm export RUN --format run` writes.  Images of the training data are not sent.  Prints the
    URL of the commit.  Needs the package of dddm[hub] and an access token (`hf auth login`).

    \b
    Examples:
      dddm push runs/digits user/digits
      dddm push runs/faces user/faces --private --precision bfloat16
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.errors import UsageError
    from dddm.training.sources import repository

    name, named_revision = repository(repo)
    if named_revision is not None:
        raise UsageError(
            f"the revision {named_revision} stands in the name of the repository",
            where=repo,
            remedy=f"dddm push {run} {name} --revision {named_revision}",
        )
    folder, recipe = find_shared(ctx, run, samples=True)

    from dddm.report.portable_run import write_portable_run
    from dddm.training.context import RunContext
    from dddm.training.device import choose_device
    from dddm.training.hub import check_token, upload

    check_token(name)
    context = RunContext(recipe=recipe, folder=folder, device=choose_device("cpu"))
    shared = f"hf://{name}" + ("" if revision is None else f"@{revision}")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "run"
        for sentence in write_portable_run(
            context, path, name=shared, precision=precision, images=images
        ):
            click.echo(sentence, err=True)
        url = upload(path, name, private=private, revision=revision)
    if as_json:
        show_json({"run": shared, "commit": url})
    else:
        click.echo(url)
        click.echo(f"next: dddm sample --from {shared}", err=True)
