"""Arguments and options that several commands share, and the components that -p has left."""

import difflib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from dddm.errors import StoppedEarly, UsageError, printable

if TYPE_CHECKING:
    from dddm.interfaces.plugin import Kind
    from dddm.recipe.model import Recipe
    from dddm.registry.catalogue import Catalogue
    from dddm.training.run_folder import RunFolder

_SIGNALS: Final = 128
"""What shells add to a signal's number for the exit code."""
_SLOW_SECONDS: Final = 1.0
"""A plugin that takes longer to load is reported to the user."""


def _complete_recipe(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del ctx, param
    from dddm.recipe.source import shipped_names

    names = [name for name in shipped_names() if name.startswith(incomplete)]
    # Files first: at this word bash forgets what it was given before.
    return [CompletionItem(incomplete, type="file"), *map(CompletionItem, names)]


def complete_preset(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of presets that come with dddm, and files."""
    del ctx, param
    from dddm.recipe.evaluation import preset_summaries

    known = preset_summaries().items()
    found = [CompletionItem(name, help=text) for name, text in known if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *found]


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


def _complete_sampler(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del param
    from dddm.interfaces.plugin import Kind

    return complete_component(ctx, incomplete, kind=Kind.SAMPLER)


recipe_argument = click.argument("recipe", shell_complete=_complete_recipe)
run_argument = click.argument("run", required=False, type=click.Path(path_type=Path))
shared_argument = click.argument("run", required=False)
"""A run that may be one of the package or on the Hub; see `find_shared`."""
overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the recipe, such as train.epochs=2 or sample.0.steps=[1]; repeatable.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto (a GPU if there is one), cpu, cuda, cuda:1, …",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
sampler_option = click.option(
    "--sampler",
    shell_complete=_complete_sampler,
    help="Name of a sampler, as `dddm plugins` lists them.  [default: that of the recipe's first "
    "samples]",
)
sampler_options_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the sampler, such as clamp=false; the others then have their defaults.",
)
guidance_option = click.option(
    "--guidance",
    type=click.FloatRange(min=0),
    metavar="SCALE",
    help="Scale of classifier-free guidance, for a network that was trained with label_dropout.  "
    "[default: 1, which is none]",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Type of the stored weights.  Half the bytes change images a little; the card says how "
    "much.",
)
stored_images_option = click.option(
    "--images",
    type=click.IntRange(min=1),
    help="Store so many images of each set of samples.  [default: all, or 1000 where all take "
    "more than 34 MB]",
)
ema_option = click.option(
    "--ema",
    type=float,
    metavar="DECAY",
    help="Use the average with this decay, one of the recipe's train.extra_ema_decays.",
)
best_option = click.option(
    "--best", is_flag=True, help="Use the weights that scored best during training."
)
nproc_option = click.option(
    "--nproc",
    type=click.IntRange(1),
    metavar="N",
    help="Share the work between N processes on this machine, one per GPU.",
)


def run_workers(ctx: click.Context, *, processes: int) -> int:
    """Run this command again in so many processes (`--nproc`); returns the exit code."""
    from dddm.cli.errors import show_error
    from dddm.training.launch import launch

    ended = launch(ctx.find_root().obj["words"], processes=processes)
    if ended.rank is not None and ended.exit_code != StoppedEarly.exit_code:
        message = ended.message
        if message is None and ended.exit_code > _SIGNALS:
            name = signal.Signals(ended.exit_code - _SIGNALS).name
            remedy = "check `dmesg` for lack of memory; the same command resumes"
            message = f"it was killed by {name}\n  try: {remedy}"
        message = message or f"it ended with exit code {ended.exit_code} and no error message"
        show_error(f"process {ended.rank} of {processes}: {message}")
    return ended.exit_code


def show_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    click.echo(printable(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def find_trained(ctx: click.Context, run: Path | None) -> "tuple[RunFolder, Recipe]":
    """The folder RUN, or that of the newest run, and its recipe.

    Raises:
        DddmError: if there is no such run, or its recipe cannot be read.
    """
    from dddm.recipe.read import read_recipe
    from dddm.training.run_folder import find_run

    folder = find_run(None if run is None else str(run))
    return folder, read_recipe(folder.recipe, catalogue=catalogue_of(ctx))


def find_shared(
    ctx: click.Context, run: str | None, *, samples: bool = False, overrides: Sequence[str] = ()
) -> "tuple[RunFolder, Recipe]":
    """The same of a run that may be one of the package or on the Hub: see `dddm.training.sources`.

    A recipe of others chooses no observers.

    Args:
        samples: whether samples and scores are needed.
        overrides: of the recipe, as after `--set`.

    Raises:
        DddmError: as above, or if it cannot be had.
    """
    from attrs import evolve

    from dddm.recipe.read import read_recipe
    from dddm.training.sources import find_source

    folder = find_source(run, samples=samples)
    recipe = read_recipe(folder.recipe, overrides=overrides, catalogue=catalogue_of(ctx))
    return folder, evolve(recipe, observe=None) if folder.foreign else recipe


def catalogue_of(ctx: click.Context) -> "Catalogue":
    """The installed components without those disabled by -p; loaded once per command.

    Raises:
        UsageError: if a plugin to be disabled is not installed.
    """
    from dddm.registry.loader import load_catalogue

    state = ctx.find_root().ensure_object(dict)
    if "catalogue" not in state:
        disabled = state.get("disabled", ())
        state["catalogue"] = load_catalogue(disabled)
        if not ctx.resilient_parsing:
            _check_disabled(disabled, state["catalogue"])
            _warn_of_slow_plugins(state["catalogue"])
    catalogue: Catalogue = state["catalogue"]
    return catalogue


def _warn_of_slow_plugins(catalogue: "Catalogue") -> None:
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


def _check_disabled(disabled: Sequence[str], catalogue: "Catalogue") -> None:
    """Only for -p: the environment variable may name plugins that are not on every machine."""
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
