"""`dddm export`: exports the one-step generator for other programs."""

from pathlib import Path

import click

from dddm.cli.options import (
    best_option,
    ema_option,
    find_trained,
    guidance_option,
    json_option,
    run_argument,
    show_json,
)


@click.command()
@run_argument
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "torch"]),
    default="onnx",
    show_default=True,
    help="onnx needs the packages of dddm[export]; torch is torch.export's format.",
)
@guidance_option
@ema_option
@best_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write.  [default: one-step.onnx or one-step.pt2 in the run folder]",
)
@json_option
@click.pass_context
def export(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: Path | None,
    kind: str,
    guidance: float | None,
    ema: float | None,
    best: bool,  # noqa: FBT001 - click passes it by name
    out: Path | None,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Export RUN's one-step generator as one file; without RUN, the newest run's.

    The inputs are two tensors of noise and, with classes, labels; the output is images in [-1, 1].
    The exported file is run and compared with the network; its path and the largest difference are
    printed.  A .json file beside it describes inputs and output.

    \b
    Examples:
      dddm export
      dddm export runs/digits --format torch --out digits.pt2
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    folder, recipe = find_trained(ctx, run)

    from dddm.generate.export import SUFFIXES, Format, check_packages
    from dddm.generate.export import export as export_generator
    from dddm.generate.generator import Weights, load_generator
    from dddm.train.context import RunContext
    from dddm.train.device import choose_device
    from dddm.train.events import EventBus

    chosen: Format = "onnx" if kind == "onnx" else "torch"
    check_packages(chosen)
    context = RunContext(
        recipe=recipe,
        folder=folder,
        device=choose_device("cpu"),
        events=EventBus.for_notices(lambda text: click.echo(text, err=True)),
    )
    generator = load_generator(context, weights=Weights(ema=ema, best=best))
    path = out if out is not None else folder.path / f"one-step{SUFFIXES[chosen]}"
    difference = export_generator(generator, kind=chosen, path=path, guidance=guidance)
    if as_json:
        show_json({"file": str(path), "largest_difference": difference})
    else:
        click.echo(str(path))
        click.echo(f"largest difference to the network, in [-1, 1]: {difference:.2g}", err=True)
