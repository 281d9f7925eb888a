"""`dddm sample`: generates samples from a trained run."""

from pathlib import Path

import click

from dddm.cli.common import catalogue_of, complete_sampler, device_option, json_option, show_json
from dddm.cli.several import launch_again, nproc_option


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--steps",
    "steps",
    multiple=True,
    type=click.IntRange(min=1),
    default=(1,),
    show_default=True,
    help="Steps of the sampler; repeat it for several step counts.  fixed-time makes one network "
    "evaluation per step.",
)
@click.option("--images", type=click.IntRange(min=1), default=64, show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Image k's noise and class depend on the seed and k alone.",
)
@click.option(
    "--labels",
    help="Classes, by name or number, that images take in turn: --labels 3 or --labels 0,1,2.  "
    "[default: all in turn]",
)
@click.option(
    "--sampler",
    default="fixed-time",
    show_default=True,
    shell_complete=complete_sampler,
    help="A sampler's name.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the sampler, such as clamp=false.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Stop refining an image whose estimate moved less than this in a step (same as --option "
    "tolerance=…).  The saving and the largest difference are printed.",
)
@click.option(
    "--ema",
    type=float,
    metavar="DECAY",
    help="Use the average with this decay, one of the recipe's train.extra_ema_decays.",
)
@click.option("--best", is_flag=True, help="Use the weights that scored best during training.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder; with several step counts, one subfolder for each.  "
    "[default: drawn/ in the run folder]",
)
@click.option(
    "--block",
    "block_images",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Images computed together; another number changes the last bits.",
)
@nproc_option
@device_option
@json_option
@click.pass_context
def sample(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: Path | None,
    steps: tuple[int, ...],
    images: int,
    seed: int,
    labels: str | None,
    sampler: str,
    options: tuple[str, ...],
    tolerance: float | None,
    ema: float | None,
    best: bool,  # noqa: FBT001 - click passes it by name
    out: Path | None,
    block_images: int,
    nproc: int | None,
    device: str,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Generate samples from RUN's averaged weights; without RUN, from the newest run.

    Writes a grid, one PNG per image, samples.npz (uint8, N×H×W×C, and labels) and a manifest with
    everything needed to reproduce them, and prints the folders.  After Ctrl-C or a crash the same
    command generates only what is missing.

    \b
    Examples:
      dddm sample --steps 1000
      dddm sample runs/digits --steps 1 --steps 10 --images 16 --seed 7
      dddm sample --sampler annealed --steps 10 --labels 3,8
      dddm sample --best --steps 2
      dddm sample --steps 1000 --tolerance 1e-4
      dddm sample --images 50000 --steps 1 --steps 2 --steps 1000 --nproc 8
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.train.launch import is_worker, local_rank
    from dddm.train.stopping import stop_on_signals

    with stop_on_signals() as stop:
        from dddm.interfaces.plugin import Kind
        from dddm.recipe.model import SampleSpec
        from dddm.recipe.read import read_component, read_recipe
        from dddm.train.run_folder import find_run

        catalogue = catalogue_of(ctx)
        folder = find_run(None if run is None else str(run))
        recipe = read_recipe(folder.recipe, catalogue=catalogue)
        if tolerance is not None:
            options = (*options, f"tolerance={tolerance!r}")
        spec = SampleSpec(
            sampler=read_component(Kind.SAMPLER, sampler, options=options, catalogue=catalogue),
            steps=steps,
            images=images,
            seed=seed,
            labels=None if labels is None else tuple(labels.split(",")),
            separate=True,
            block_images=block_images,
        )
        if nproc is None or is_worker():
            from dddm.generate.generate import generate_from_run
            from dddm.generate.generator import Weights
            from dddm.train.context import RunContext
            from dddm.train.device import choose_device
            from dddm.train.events import EventBus, subscribers_for
            from dddm.train.processes import join

            chosen = choose_device(device, local_rank=local_rank())
            with join(chosen) as processes:
                observers = (
                    subscribers_for(recipe, catalogue=catalogue, folder=folder)
                    if processes.main
                    else []
                )
                context = RunContext(
                    recipe=recipe,
                    folder=folder,
                    device=chosen,
                    events=EventBus(observers, stop=stop),
                    stop=stop,
                    processes=processes,
                )
                weights = Weights(ema=ema, best=best)
                folders = generate_from_run(spec, context=context, weights=weights, out=out)
            if not processes.main:
                return
            if as_json:
                show_json({str(count): str(path) for count, path in folders.items()})
            else:
                for path in folders.values():
                    click.echo(str(path))
            return
    # Outside the block: the signals are now the launcher's to pass on.
    ctx.exit(launch_again(ctx, processes=nproc))
