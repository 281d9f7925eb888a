"""`dddm plugin new`."""

from pathlib import Path
from typing import Any, Final, final

import click

from dddm.interfaces.plugin import Kind

_NO_LICENCE: Final = "none"


@final
class _KindWord(click.Choice):  # type: ignore[type-arg]  # it has none before click 8.2
    """The word of a kind; who writes a loss may not know that it is called a metric."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word itself."""
        if value == "loss":
            self.fail("a loss is a metric: --kind metric", param, ctx)
        word: str = super().convert(value, param, ctx)
        return word


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    required=True,
    type=_KindWord([kind.value for kind in Kind]),
    help="What its component is.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where to write it: a folder that is new or empty.  [default: NAME]",
)
@click.option(
    "--component",
    help="What recipes call the component.  [default: NAME without dddm-]",
)
@click.option("--author", help="Who stands in its metadata and licence.  [default: its authors]")
@click.option(
    "--license",
    "licence",
    type=click.Choice(["MIT", _NO_LICENCE], case_sensitive=False),
    default="MIT",
    show_default=True,
    help="The licence to write; with none you add one of your own.",
)
def new(
    *,
    name: str,
    kind: str,
    folder: Path | None,
    component: str | None,
    author: str | None,
    licence: str,
) -> None:
    """Write a package NAME with a component that works, to be changed into one of your own.

    It installs, passes its tests and runs in a recipe as it is written.  The guides "Write a loss
    in ten minutes" and "Write a backbone" go on from there.

    \b
    Examples:
      dddm plugin new dddm-charbonnier --kind metric
      dddm plugin new dddm-unet --kind backbone --component small-unet
      dddm plugin new dddm-faces --kind dataset --folder . --author "A. Nother"
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.scaffold.create import create

    made = create(
        name,
        kind=Kind(kind),
        folder=folder,
        component=component,
        author=author,
        licence=None if licence == _NO_LICENCE else licence,
    )
    click.echo(f"{made.folder} holds {made.names.distribution}:")
    for path in made.files:
        click.echo(f"  {path}")
    click.echo(f"\nIts {kind} is {made.names.id}.  Next:")
    for command in made.next_commands:
        click.echo(f"  {command}")
