"""`dddm plugins`: what is installed, and what each component's options are."""

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from dddm.cli.common import catalogue_of, complete_component, json_option, show_json

if TYPE_CHECKING:
    # Help waits for neither.
    from dddm.registry.catalogue import Catalogue, PluginStatus
    from dddm.registry.component import Component


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """List the components that are installed, and the plugins that are not in use, with the reason.

    In a recipe the part behind the colon will do, while it is the name of one component of its
    kind.  `dddm plugins show NAME` lists a component's options.

    \b
    Examples:
      dddm plugins
      dddm plugins --json
      dddm plugins show adm
      dddm -p no:dddm.metrics plugins
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    if ctx.invoked_subcommand is not None:
        return
    catalogue = catalogue_of(ctx)
    if as_json:
        from dddm.recipe.describe import facts_of

        show_json(
            {
                "components": [facts_of(component) for component in catalogue.components()],
                "plugins": [status.facts for status in catalogue.plugins],
            }
        )
        return
    _list_components(catalogue)
    _list_idle(catalogue.plugins)


def _list_components(catalogue: "Catalogue") -> None:
    every = catalogue.components()
    width = max((len(component.id) for component in every), default=0)
    for kind in dict.fromkeys(component.kind for component in every):
        click.secho(kind.value, bold=True)
        for component in catalogue.components(kind):
            click.echo(f"  {component.id.ljust(width)}  {component.summary}")
    packages = dict.fromkeys(f"{component.package} {component.version}" for component in every)
    click.echo(f"\nfrom {', '.join(packages) or 'no package'}")


def _list_idle(statuses: "tuple[PluginStatus, ...]") -> None:
    for status in statuses:
        if status.error is not None or status.disabled:
            click.echo(f"\n{status.name} of {status.package} {status.version} is {status.word}")
        if status.error is not None:
            click.echo("  " + str(status.error).replace("\n", "\n  "))


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

    NAME is a full id or what stands behind its colon; where several components have it, all are
    shown.

    \b
    Examples:
      dddm plugins show adm
      dddm plugins show dddm:pixels --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.recipe.describe import facts_of

    found = catalogue_of(ctx).named(name)
    if as_json:
        show_json([facts_of(component) for component in found])
        return
    for number, component in enumerate(found):
        if number:
            click.echo()
        _show_component(component)


def _show_component(component: "Component") -> None:
    from dddm.recipe.describe import PLACES, options_of

    click.secho(f"{component.id}", bold=True, nl=False)
    click.echo(f"  {component.kind.value}, from {component.package} {component.version}")
    click.echo(f"{component.summary}\n\n{PLACES[component.kind]}")
    click.echo(f'use = "{component.id}"')
    for option in options_of(component.options):
        bounds = f", {option.bounds}" if option.bounds else ""
        click.echo(f"\n{_assignment(option.name, option.default, required=option.required)}")
        click.echo(f"    {option.type}{bounds}")
        click.echo(f"    {option.help}")


def _assignment(name: str, default: Any, *, required: bool) -> str:
    from dddm.recipe.write import inline

    if required:
        return f"{name} = …  (required)"
    return f"{name}  (left out by default)" if default is None else f"{name} = {inline(default)}"
