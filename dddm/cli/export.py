"""`dddm export`: exports the one-step generator for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dddm.cli.options import (
    best_option,
    catalogue_of,
    ema_option,
    find_shared,
    guidance_option,
    json_option,
    precision_option,
    sampler_option,
    sampler_options_option,
    shared_argument,
    show_json,
    stored_images_option,
)
from dddm.errors import printable

if TYPE_CHECKING:
    # It imports torch, which help must not wait for.
    from dddm.training.context import RunContext


@click.command()
@shared_argument
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "torch", "run", "diffusers"]),
    default="onnx",
    show_default=True,
    help="onnx needs the packages of dddm[export]; torch is torch.export's format; run is a folder "
    "to share: averaged weights, recipe, scores, samples and a model card; diffusers is such a "
    "folder as a pipeline of that library.",
)
@sampler_option
@sampler_options_option
@guidance_option
@ema_option
@best_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File or folder to write.  [default: one-step.onnx or one-step.pt2 in the run folder; "
    "NAME-portable or NAME-diffusers beside it]",
)
@precision_option
@stored_images_option
@json_option
@click.pass_context
def export(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: str | None,
    kind: str,
    sampler: str | None,
    options: tuple[str, ...],
    guidance: float | None,
    ema: float | None,
    best: bool,  # noqa: FBT001 - click passes it by name
    out: Path | None,
    precision: str,
    images: int | None,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Export RUN's one-step generator, or RUN itself to share it; without RUN, the newest run's.

    That is one step of the sampler.  The inputs are two tensors of noise and, with classes, labels;
    the output is images in [-1, 1].  The exported file is run and compared with the network; its
    path and the largest difference are printed.  A .json file beside it describes what goes in.

    With --format run the folder that `dddm push` sends is written, and with --format diffusers one
    that DiffusionPipeline.from_pretrained loads; --precision and --images are about these two.

    \b
    Examples:
      dddm export
      dddm export runs/digits --format torch --out digits.pt2
      dddm export runs/digits --format run --out shared/digits
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    folder, recipe = find_shared(ctx, run, samples=kind in {"run", "diffusers"})

    from dddm.errors import UsageError
    from dddm.generate.export import SUFFIXES, Format, check_packages
    from dddm.generate.export import export as export_generator
    from dddm.generate.generator import Weights, load_generator
    from dddm.recipe.read import read_sampler
    from dddm.training.context import RunContext
    from dddm.training.device import choose_device
    from dddm.training.events import EventBus

    context = RunContext(
        recipe=recipe,
        folder=folder,
        device=choose_device("cpu"),
        events=EventBus.for_notices(lambda text: click.echo(text, err=True)),
    )
    if kind in {"run", "diffusers"}:
        if ema is not None or best or guidance is not None or sampler or options:
            raise UsageError(
                "a run to share holds the weights that its samples and scores are of",
                where=f"--format {kind}",
                remedy="leave --ema, --best, --guidance, --sampler and --option out",
            )
        _export_run(context, out, kind=kind, precision=precision, images=images, as_json=as_json)
        return
    chosen: Format = "onnx" if kind == "onnx" else "torch"
    check_packages(chosen)
    click.echo(printable(f"reading the weights of {folder.path}"), err=True)
    generator = load_generator(context, weights=Weights(ema=ema, best=best))
    beside = Path() if folder.foreign else folder.path
    path = out if out is not None else beside / f"one-step{SUFFIXES[chosen]}"
    step_of = read_sampler(
        sampler, options=options, own=recipe.own_sampler, catalogue=catalogue_of(ctx)
    )
    difference = export_generator(
        generator,
        sampler=step_of,
        kind=chosen,
        path=path,
        guidance=guidance,
        notify=lambda sentence: click.echo(sentence, err=True),
    )
    if as_json:
        show_json({"file": str(path), "largest_difference": difference})
    else:
        click.echo(str(path))
        click.echo(f"largest difference to the network, in [-1, 1]: {difference:.2g}", err=True)


def _export_run(
    context: "RunContext",
    out: Path | None,
    *,
    kind: str,
    precision: str,
    images: int | None,
    as_json: bool,
) -> None:
    folder = context.folder
    beside = Path() if folder.foreign else folder.path.parent
    suffix = "portable" if kind == "run" else "diffusers"
    path = out if out is not None else beside / f"{folder.path.resolve().name}-{suffix}"
    if kind == "run":
        from dddm.report.portable_run import write_portable_run

        notes = write_portable_run(
            context, path, name=path.name, precision=precision, images=images
        )
    else:
        from dddm.report.pipeline_folder import write_pipeline_folder

        notes = write_pipeline_folder(context, path, precision=precision, images=images)
    for sentence in notes:
        click.echo(sentence, err=True)
    if as_json:
        show_json({"folder": str(path)})
    else:
        click.echo(str(path))
