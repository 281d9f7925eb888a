"""What commands share: arguments, options, and the catalogue of components."""

import difflib
import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from dddm.errors import UsageError

if TYPE_CHECKING:
    from dddm.interfaces.plugin import Kind
    from dddm.registry.catalogue import Catalogue

Command = TypeVar("Command", bound=Callable[..., Any])

_SLOW_SECONDS: Final = 1.0
"""A plugin that takes longer to load is named to the user."""


def complete_recipe(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of recipes that come with dddm, and files."""
    del ctx, param
    from dddm.recipe.source import shipped_names

    names = [name for name in shipped_names() if name.startswith(incomplete)]
    # Files first: at this word bash forgets what it was given before.
    return [CompletionItem(incomplete, type="file"), *map(CompletionItem, names)]


def complete_component(
    ctx: click.Context, incomplete: str, *, kind: "Kind | None" = None
) -> list[CompletionItem]:
    """Names of components of one kind, or of all, with their summaries."""
    names = {
        name: component.summary
        for component in catalogue_of(ctx).components(kind)
        for name in (component.name, component.id)
    }
    return [
        CompletionItem(name, help=summary)
        for name, summary in names.items()
        # Shells break words at a colon: a full id is offered once its colon was typed.
        if name.startswith(incomplete) and (":" in incomplete or ":" not in name)
    ]


def complete_sampler(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of samplers."""
    del param
    from dddm.interfaces.plugin import Kind

    return complete_component(ctx, incomplete, kind=Kind.SAMPLER)


def complete_preset(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of presets that come with dddm, and files."""
    del ctx, param
    from dddm.recipe.evaluation import preset_summaries

    known = preset_summaries().items()
    found = [CompletionItem(name, help=text) for name, text in known if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *found]


def recipe_argument(command: Command) -> Command:
    """RECIPE, a path or the name of a recipe that comes with dddm."""
    return click.argument("recipe", shell_complete=complete_recipe)(command)


def overrides_option(command: Command) -> Command:
    """`--set KEY=VALUE`, as often as wanted."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one value of the recipe: train.epochs=2 or sample.0.steps=[1].",
    )(command)


def device_option(command: Command) -> Command:
    """`--device`."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto (a GPU if there is one), cpu, cuda, cuda:1, …",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")(
        command
    )


def show_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def catalogue_of(ctx: click.Context) -> "Catalogue":
    """The components that are installed and not disabled; loaded once for a command.

    Raises:
        UsageError: if a plugin that is to be disabled is not installed.
    """
    from dddm.registry.loader import load_catalogue

    state = ctx.find_root().ensure_object(dict)
    if "catalogue" not in state:
        disabled = state.get("disabled", ())
        state["catalogue"] = load_catalogue(disabled)
        if not ctx.resilient_parsing:
            _refuse_unknown(disabled, state["catalogue"])
            _name_slow(state["catalogue"])
    catalogue: Catalogue = state["catalogue"]
    return catalogue


def _name_slow(catalogue: "Catalogue") -> None:
    """Warn of plugins that load slowly: every command waits for all of them."""
    if os.environ.get("RANK", "0") != "0":
        return
    for status in catalogue.plugins:
        if status.seconds > _SLOW_SECONDS:
            imports_torch = ", because it imports torch" if status.imports_torch else ""
            click.echo(
                f"the plugin {status.title} took {status.seconds:.1f} s to load{imports_torch}\n"
                f"  try: disable it with -p no:{status.name}; see `dddm plugins --timing`",
                err=True,
            )


def _refuse_unknown(disabled: Sequence[str], catalogue: "Catalogue") -> None:
    """Of -p alone: the environment variable may name plugins that are not on every machine."""
    from dddm.registry.registrar import namespace_of

    plugins = [plugin.name for plugin in catalogue.plugins]
    packages = [plugin.package for plugin in catalogue.plugins]
    known = list(dict.fromkeys([*plugins, *map(namespace_of, plugins), *packages]))
    for name in disabled:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"there is no plugin called {name!r}",
                where=f"-p no:{name}",
                remedy=f"did you mean {near[0]}?" if near else "see `dddm plugins --json`",
            )
