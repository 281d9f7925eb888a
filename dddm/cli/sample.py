"""`dddm sample`: generates samples from a trained run."""

from pathlib import Path
from typing import Literal

import click

from dddm.cli.options import (
    best_option,
    catalogue_of,
    device_option,
    ema_option,
    find_shared,
    guidance_option,
    json_option,
    nproc_option,
    run_workers,
    sampler_option,
    sampler_options_option,
    shared_argument,
    show_json,
)
from dddm.errors import UsageError
from dddm.training.launch import is_worker


@click.command()
@shared_argument
@click.option(
    "--from",
    "source",
    metavar="RUN",
    help="The same as RUN: a folder; digits or digits-dddm, which come with dddm; or "
    "hf://user/name[@revision] on the Hugging Face Hub.",
)
@click.option(
    "--steps",
    multiple=True,
    type=click.IntRange(min=1),
    default=(1,),
    show_default=True,
    help="Sampling steps; repeat it for several step counts.",
)
@click.option("--images", type=click.IntRange(min=1), default=64, show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The noise and class of image k depend only on the seed and k.",
)
@click.option(
    "--labels",
    help="Classes, by name or number, that the images take in turn, such as 3 or 0,1,2.  "
    "[default: all]",
)
@click.option(
    "--random-classes",
    is_flag=True,
    help="Each image takes one of the classes at random, as in ADM's script, and not in turn.",
)
@sampler_option
@sampler_options_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Stop refining an image once a step moves its estimate by less than this; prints what "
    "that saves.  Short for --option tolerance=…",
)
@guidance_option
@click.option(
    "--guidance-interval",
    nargs=2,
    type=float,
    metavar="LOW HIGH",
    help="Guide only at noise levels s/a above LOW and up to HIGH.",
)
@ema_option
@best_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder, with a subfolder per step count if there are several.  "
    "[default: drawn/ in the run folder; drawn/NAME here for a run that is not yours]",
)
@click.option(
    "--block",
    "block_images",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Images computed together.  Another size changes images by rounding errors.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Precision of the network.  bfloat16 changes images by more than another device does.",
)
@click.option(
    "--compile/--no-compile", "compiled", help="Compile the network first: a minute or more."
)
@nproc_option
@device_option
@json_option
@click.pass_context
def sample(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: str | None,
    source: str | None,
    steps: tuple[int, ...],
    images: int,
    seed: int,
    labels: str | None,
    random_classes: bool,  # noqa: FBT001 - click passes it by name
    sampler: str | None,
    options: tuple[str, ...],
    tolerance: float | None,
    guidance: float | None,
    guidance_interval: tuple[float, float] | None,
    ema: float | None,
    best: bool,  # noqa: FBT001 - click passes it by name
    out: Path | None,
    block_images: int,
    precision: Literal["float32", "bfloat16"],
    compiled: bool,  # noqa: FBT001 - click passes it by name
    nproc: int | None,
    device: str,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Generate samples from RUN's averaged weights; without RUN, from the newest run.

    Writes a grid, one PNG per image, samples.npz (uint8 images N×H×W×C, labels) and a manifest that
    says how to reproduce them, and prints the folders.  After Ctrl-C or a crash the same command
    generates only what is missing.

    \b
    Examples:
      dddm sample --steps 1000
      dddm sample --from digits --images 16
      dddm sample --from hf://user/name --steps 1
      dddm sample runs/digits --steps 1 --steps 10 --images 16 --seed 7
      dddm sample --sampler annealed --steps 10 --labels 3,8
      dddm sample --best --steps 2
      dddm sample --sampler annealed --steps 10 --guidance 2
      dddm sample --steps 1000 --tolerance 1e-4
      dddm sample --images 50000 --steps 1 --steps 2 --steps 1000 --nproc 8
      dddm sample --images 50000 --steps 1000 --precision bfloat16 --compile --block 512
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.training.stopping import stop_on_signals

    with stop_on_signals() as stop:
        from dddm.recipe.model import Guidance, SampleSpec
        from dddm.recipe.read import read_sampler

        catalogue = catalogue_of(ctx)
        if run is not None and source is not None:
            raise UsageError(
                "the run is named twice",
                where=f"{run} --from {source}",
                remedy="name it once, with or without --from",
            )
        folder, recipe = find_shared(ctx, run or source)
        if tolerance is not None:
            options = (*options, f"tolerance={tolerance!r}")
        spec = SampleSpec(
            sampler=read_sampler(
                sampler, options=options, own=recipe.own_sampler, catalogue=catalogue
            ),
            steps=steps,
            images=images,
            seed=seed,
            guidance=Guidance.make(guidance, guidance_interval),
            labels=None if labels is None else tuple(labels.split(",")),
            random_classes=random_classes,
            separate=True,
            block_images=block_images,
            precision=precision,
            compile=compiled,
        )
        if nproc is None or is_worker():
            from dddm.generate.generate import generate_from_run
            from dddm.generate.generator import Weights
            from dddm.training.context import open_trained

            with open_trained(
                recipe, folder, catalogue=catalogue, device=device, stop=stop
            ) as context:
                weights = Weights(ema=ema, best=best)
                folders = generate_from_run(spec, context=context, weights=weights, out=out)
            if not context.processes.main:
                return
            if as_json:
                show_json({str(count): str(path) for count, path in folders.items()})
            else:
                for path in folders.values():
                    click.echo(str(path))
            return
    # Outside the block: the launcher passes signals on to the workers.
    ctx.exit(run_workers(ctx, processes=nproc))
