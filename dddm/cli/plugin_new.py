"""`dddm plugin new`."""

from pathlib import Path
from typing import Any, Final, final

import click

from dddm.interfaces.plugin import Kind

_NO_LICENCE: Final = "none"


@final
class _KindWord(click.Choice):  # type: ignore[type-arg]  # it has none before click 8.2
    """The value of a kind; explains that a loss is a metric."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
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
    help="Kind of its component.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="A folder that is new or empty.  [default: NAME]",
)
@click.option(
    "--component",
    help="Name of the component in recipes.  [default: NAME without dddm-]",
)
@click.option("--author", help="Author in the metadata and licence.  [default: the NAME authors]")
@click.option(
    "--license",
    "licence",
    type=click.Choice(["MIT", _NO_LICENCE], case_sensitive=False),
    default="MIT",
    show_default=True,
    help="Licence to include.",
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
    """Write a package NAME with a working component, to start from.

    The package can be installed, passes its tests and has a recipe that runs.  The guides "Write a
    metric" and "Write a backbone" continue from there.

    \b
    Examples:
      dddm plugin new dddm-charbonnier --kind metric
      dddm plugin new dddm-unet --kind backbone --component small-unet
      dddm plugin new dddm-faces --kind dataset --folder . --author "A. Nother"
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.scaffold.new_package import create_package

    package = create_package(
        name,
        kind=Kind(kind),
        folder=folder,
        component=component,
        author=author,
        licence=None if licence == _NO_LICENCE else licence,
    )
    click.echo(f"wrote {package.names.distribution} to {package.folder}:")
    for path in package.files:
        click.echo(f"  {path}")
    click.echo(f"\nThe {kind} is {package.names.id}.  Next:")
    for command in package.next_commands:
        click.echo(f"  {command}")
