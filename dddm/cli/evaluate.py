"""`dddm evaluate`: scores the samples of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dddm.cli.common import catalogue_of, device_option, json_option, show_json
from dddm.cli.several import launch_again, nproc_option
from dddm.errors import RecipeError, UsageError
from dddm.run.launch import is_worker, local_rank

if TYPE_CHECKING:
    # It brings torch along, which help must not wait for.
    from dddm.scores.record import Score


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--compare",
    "compared",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="A B",
    help="Put the scores of two runs side by side; measures nothing.",
)
@nproc_option
@device_option
@json_option
@click.pass_context
def evaluate(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: Path | None,
    compared: tuple[Path, Path] | None,
    nproc: int | None,
    device: str,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Score RUN's samples against its training images; without RUN, the newest run's.

    Writes scores.json into the run folder and prints a table.  Beside the Fréchet distance (FD,
    less is better) stand those of real images at the same count; "nearest" is the median distance
    to the nearest training image, beside that of held-out images, and "close" the share of samples
    nearer to a training image than 99 % of held-out images are: about 1 % is expected, far more
    means copying.  Other scores that the recipe asks for (evaluate.metrics) have a table of their
    own, beside those of held-out images.

    With --compare nothing is measured: scores of A and B stand side by side where they were taken
    over as many images, in the same features, against the same images, by the same formula.  Where
    not, it says what differs.

    \b
    Examples:
      dddm evaluate
      dddm evaluate runs/digits --json
      dddm evaluate runs/cifar10 --nproc 8
      dddm evaluate --compare runs/digits runs/other
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    if compared is not None:
        if run is not None:
            raise UsageError(
                "--compare takes two runs, and no third beside them",
                where=str(run),
                remedy="leave out what stands before or after --compare A B",
            )
        from dddm.cli.comparison import show_comparison

        show_comparison(compared, as_json=as_json)
        return
    from dddm.recipe.read import read_recipe
    from dddm.run.find import find_run

    catalogue = catalogue_of(ctx)
    folder = find_run(None if run is None else str(run))
    recipe = read_recipe(folder.recipe, catalogue=catalogue)
    if recipe.evaluate is None:
        raise RecipeError(
            "this run's recipe does not say how to score: it has no table [evaluate]",
            where=str(folder.recipe),
            remedy='add to the recipe: [evaluate] with features = "pixels", and run it again',
        )

    if nproc is not None and not is_worker():
        ctx.exit(launch_again(ctx, processes=nproc))

    from dddm.run.announce import Announcer
    from dddm.run.device import choose_device
    from dddm.run.processes import join
    from dddm.run.stopping import StopRequest
    from dddm.tasks.evaluate import evaluate as evaluate_run
    from dddm.tasks.observers import observers_for

    chosen = choose_device(device, local_rank=local_rank())
    with join(chosen) as processes:
        observers = (
            observers_for(recipe, catalogue=catalogue, folder=folder) if processes.main else []
        )
        stop = StopRequest()
        announcer = Announcer(observers, stop=stop)
        try:
            scores = evaluate_run(
                recipe,
                folder=folder,
                notify=announcer.notify,
                device=chosen,
                clock=announcer.clock,
                stop=stop,
                processes=processes,
            )
        finally:
            announcer.tally()
            announcer.close()
    if not processes.main:
        return
    if as_json:
        show_json([score.to_json() for score in scores])
    else:
        show_scores(scores)


def show_scores(scores: "tuple[Score, ...]") -> None:
    """Print the scores on stdout, one row for each set of samples."""
    from rich.console import Console

    from dddm.cli.score_table import other_scores_table, score_table

    console = Console()
    console.print(score_table(scores))
    others = other_scores_table(scores)
    if others is not None:
        console.print(others)
