"""`dddm plugins`."""

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from dddm.cli.options import catalogue_of, complete_component, json_option, show_json

if TYPE_CHECKING:
    # Help waits for none of them.
    from collections.abc import Sequence

    from dddm.registry.catalogue import Catalogue, PluginStatus
    from dddm.registry.component import Component


@click.group(invoke_without_command=True)
@click.option(
    "--timing", is_flag=True, help="Show how long each plugin takes to load, the slowest first."
)
@json_option
@click.pass_context
def plugins(ctx: click.Context, timing: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes them by name
    """List the installed components, and the plugins that provide them.

    A plugin that fails to load is listed with the reason; all others still work.  A recipe may name
    a component without its namespace, as long as only one component of that kind has the name.
    `dddm plugins show NAME` lists a component's options.

    \b
    Examples:
      dddm plugins
      dddm plugins --json
      dddm plugins --timing
      dddm plugins show adm
      dddm -p no:dddm.metrics plugins
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    if ctx.invoked_subcommand is not None:
        return
    catalogue = catalogue_of(ctx)
    if as_json:
        from dddm.recipe.options import describe_component

        statuses = _slowest_first(catalogue) if timing else catalogue.plugins
        show_json(
            {
                "components": [
                    describe_component(component) for component in catalogue.components()
                ],
                "plugins": [status.to_json() for status in statuses],
            }
        )
    elif timing:
        _list_times(_slowest_first(catalogue))
    else:
        _list_components(catalogue)
        _list_plugins(catalogue.plugins)


def _list_components(catalogue: "Catalogue") -> None:
    every = catalogue.components()
    width = max((len(component.id) for component in every), default=0)
    for kind in dict.fromkeys(component.kind for component in every):
        click.secho(kind.value, bold=True)
        for component in catalogue.components(kind):
            click.echo(f"  {component.id.ljust(width)}  {component.summary}")
    click.echo()


def _list_plugins(statuses: "Sequence[PluginStatus]") -> None:
    click.secho("from these plugins", bold=True)
    if not statuses:
        click.echo("  none installed")
    rows = [(status.name, f"{status.package} {status.version}") for status in statuses]
    widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
    for status, row in zip(statuses, rows, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  " + "  ".join([*cells, _status(status)]))
        if status.error is not None:
            click.echo("    " + str(status.error).replace("\n", "\n    "))


def _status(status: "PluginStatus") -> str:
    return f"{status.status}, imports torch" if status.imports_torch else status.status


def _slowest_first(catalogue: "Catalogue") -> "Sequence[PluginStatus]":
    return sorted(catalogue.plugins, key=lambda status: status.seconds, reverse=True)


def _list_times(statuses: "Sequence[PluginStatus]") -> None:
    click.secho("  load ms  plugin", bold=True)
    for status in statuses:
        click.echo(f"{status.seconds * 1000:>9.1f}  {status.title}: {_status(status)}")
    click.echo(f"{sum(status.seconds for status in statuses) * 1000:.1f} ms in total")


def _complete(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del parameter
    return complete_component(ctx, incomplete)


@plugins.command()
@click.argument("name", shell_complete=_complete)
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:  # noqa: FBT001 - see above
    """Show the component NAME with its options: type, bounds, default and what each does.

    NAME is an id such as dddm:adm, or the part after the colon; if several components have that
    name, all are shown.

    \b
    Examples:
      dddm plugins show adm
      dddm plugins show dddm:pixels --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.options import describe_component

    found = catalogue_of(ctx).named(name)
    if as_json:
        show_json([describe_component(component) for component in found])
        return
    for number, component in enumerate(found):
        if number:
            click.echo()
        _show_component(component)


def _show_component(component: "Component") -> None:
    from dddm.recipe.layout import PLACES
    from dddm.recipe.options import describe_options
    from dddm.support.quantities import size

    click.secho(f"{component.id}", bold=True, nl=False)
    click.echo(
        f"  {component.kind.value}, from {component.package} {component.version}, "
        f"{_api(component.api)}"
    )
    click.echo(f"{component.summary}\n\n{PLACES[component.kind]}")
    click.echo(f'use = "{component.id}"')
    for option in describe_options(component.options):
        bounds = f", {option.bounds}" if option.bounds else ""
        click.echo(f"\n{_assignment(option.name, option.default, required=option.required)}")
        click.echo(f"    {option.type}{bounds}")
        click.echo(f"    {option.help}")
    for number, file in enumerate(component.weights):
        if not number:
            click.echo("\nweights, verified before use (`dddm weights list`)")
        click.echo(f"    {file.name}, {size(file.size_bytes)}, sha256 {file.sha256}")
        click.echo(f"    {file.url}" if file.instructions is None else f"    {file.instructions}")


def _api(versions: tuple[int, int]) -> str:
    first, last = versions
    return f"plugin API {first}" if first == last else f"plugin API {first} to {last}"


def _assignment(name: str, default: Any, *, required: bool) -> str:
    from dddm.recipe.write import inline

    if required:
        return f"{name} = …  (required)"
    return f"{name}  (not set by default)" if default is None else f"{name} = {inline(default)}"
