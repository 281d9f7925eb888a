"""`dddm init`: looks at images and writes a recipe for them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from dddm.cli.options import catalogue_of, device_option
from dddm.errors import UsageError, printable

if TYPE_CHECKING:
    from dddm.scaffold.new_recipe import Goal

_LARGEST: Final = {"cpu": 32, "cuda": 64}
"""Side in pixels that training manages in an hour."""
_ALPHA: Final = ("white", "black", "refuse")


@click.command()
@click.argument("source")
@click.option(
    "--for",
    "goal",
    type=click.Choice(["speed", "quality", "paper"]),
    default="speed",
    show_default=True,
    help="speed: images in one step; quality: better ones in ten or more; paper: DDDM as printed.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The recipe.  [default: NAME.toml]"
)
@click.option(
    "--size",
    type=click.IntRange(min=8),
    help="Crop and resize images to this many pixels.  [default: up to 32, on a GPU 64]",
)
@click.option(
    "--alpha",
    type=click.Choice(_ALPHA),
    help="What transparent pixels are put on.  [default: ask]",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=40,
    show_default=True,
    help="Length of training on this machine.",
)
@device_option
@click.pass_context
def init(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    source: str,
    goal: str,
    output: Path | None,
    size: int | None,
    alpha: str | None,
    minutes: float,
    device: str,
) -> None:
    """Look at the images of SOURCE and write a recipe that trains on them.

    SOURCE is a folder, a .zip or .npz file, or the name of a data set.  Every image is read once,
    and a short trial measures this machine.  The recipe is commented and has fewer than 30 lines;
    change whatever you like.

    \b
    Examples:
      dddm init faces
      dddm init emoji.zip --alpha white --size 32
      dddm init photographs --for quality --minutes 120 -o mine.toml
      dddm init digits --for paper
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.cli.image_progress import image_progress
    from dddm.scaffold.new_recipe import write_recipe
    from dddm.scaffold.own_images import look_at
    from dddm.training.device import choose_device

    def ask(sentence: str) -> str:
        if alpha is not None:
            return alpha
        if not sys.stdin.isatty():
            raise UsageError(
                sentence, where=source, remedy="add --alpha white, --alpha black or --alpha refuse"
            )
        click.echo(f"{sentence}.", err=True)
        question = "What shall they be put on?"
        return str(click.prompt(question, type=click.Choice(_ALPHA), err=True))

    chosen, catalogue = choose_device(device), catalogue_of(ctx)
    images = look_at(
        source,
        catalogue=catalogue,
        size=size,
        largest=_LARGEST.get(chosen.type, _LARGEST["cpu"]),
        ask_alpha=ask,
        progress=image_progress,
    )
    path = output or Path(f"{images.name}.toml")
    budget = write_recipe(
        images,
        path,
        goal=cast("Goal", goal),
        minutes=minutes,
        catalogue=catalogue,
        device=chosen,
    )
    for remark in images.remarks:
        click.echo(printable(remark), err=True)
    for sentence in budget.in_sentences():
        click.echo(sentence, err=True)
    click.echo(printable(f"next: dddm run {path}"), err=True)
    click.echo(printable(str(path)))
