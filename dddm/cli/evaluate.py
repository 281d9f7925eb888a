"""`dddm evaluate`: scores the samples of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dddm.cli.common import (
    catalogue_of,
    complete_preset,
    device_option,
    json_option,
    show_json,
)
from dddm.cli.several import launch_again, nproc_option
from dddm.errors import RecipeError, UsageError
from dddm.train.launch import is_worker, local_rank

if TYPE_CHECKING:
    # They bring torch along, or take time, which help must not wait for.
    from dddm.evaluate.record import ScoreRecord
    from dddm.recipe.model import Recipe
    from dddm.registry.catalogue import Catalogue
    from dddm.train.run_folder import RunFolder


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
@click.option(
    "--preset",
    metavar="NAME",
    shell_complete=complete_preset,
    help="Score by a preset: cifar10-paper, imagenet64-adm, no-weights, unbiased, or a .toml file.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Score these images instead of a run's: a folder, or a .zip or .npz file.",
)
@click.option(
    "--against",
    metavar="WHAT",
    help="With --images: the real images, as a recipe, a run, or a path like that of --images.",
)
@nproc_option
@device_option
@json_option
@click.pass_context
def evaluate(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: Path | None,
    compared: tuple[Path, Path] | None,
    preset: str | None,
    images: Path | None,
    against: str | None,
    nproc: int | None,
    device: str,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Score RUN's samples against its training images; without RUN, the newest run's.

    Writes scores.json into the run folder and prints a table.  Beside the Fréchet distance (FD,
    less is better) stand those of real images at the same count; "nearest" is the median distance
    to the nearest training image, beside that of held-out images, and "close" the share of samples
    nearer to a training image than 99 % of held-out images are: about 1 % is expected, far more
    means copying.  Other scores that the recipe asks for (evaluate.scores) have a table of their
    own, beside those of held-out images.

    With --preset the scores of that preset are added to the file; what is there stays.

    \b
      cifar10-paper   FID, IS and KID as in table 1 of the paper; needs Inception
      imagenet64-adm  FID, IS, precision and recall as in table 2; needs Inception
      unbiased        distances in CLIP and DINOv2, which no loss has seen; needs both
      no-weights      cheap scores of 8×8 averages of any images; needs nothing

    With --images and --against any images are scored, by the same code; nothing is written.

    With --compare nothing is measured: scores of A and B stand side by side where they were taken
    over as many images, in the same features, against the same images, by the same formula.  Where
    not, it says what differs.

    \b
    Examples:
      dddm evaluate
      dddm evaluate runs/digits --json
      dddm evaluate runs/cifar10 --preset unbiased --nproc 8
      dddm evaluate --images theirs.npz --against cifar10
      dddm evaluate --images folder/ --against other/ --preset no-weights --json
      dddm evaluate --compare runs/digits runs/other
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    _refuse_contradictions(run, compared, preset=preset, images=images, against=against)
    if compared is not None:
        from dddm.cli.comparison import show_comparison

        show_comparison(compared, as_json=as_json)
        return
    from dddm.train.needed_weights import verify_weights

    catalogue = catalogue_of(ctx)
    if images is not None and against is not None:
        from dddm.cli.evaluate_images import how_to_score, score_folder

        how = how_to_score(against, preset=preset, catalogue=catalogue)
        verify_weights((*how[1].features, *how[1].scores))
        if nproc is not None and not is_worker():
            ctx.exit(launch_again(ctx, processes=nproc))
        scores = score_folder(images, against=against, how=how, device=device, catalogue=catalogue)
    else:
        from dddm.recipe.read import read_recipe
        from dddm.train.run_folder import find_run

        folder = find_run(None if run is None else str(run))
        recipe = read_recipe(folder.recipe, preset=preset, catalogue=catalogue)
        if recipe.evaluate is None:
            raise RecipeError(
                "this run's recipe does not say how to score: it has no table [evaluate]",
                where=str(folder.recipe),
                remedy="score by a preset, `--preset no-weights`; or add to the recipe [evaluate] "
                'with features = "pixels", and run it again',
            )
        verify_weights((*recipe.evaluate.features, *recipe.evaluate.scores))
        if nproc is not None and not is_worker():
            ctx.exit(launch_again(ctx, processes=nproc))
        scores = _score_run(recipe, folder, preset=preset, device=device, catalogue=catalogue)
    if scores is None:
        return
    if as_json:
        show_json([score.to_json() for score in scores])
    else:
        show_scores(scores)


def _refuse_contradictions(
    run: Path | None,
    compared: tuple[Path, Path] | None,
    *,
    preset: str | None,
    images: Path | None,
    against: str | None,
) -> None:
    """Options that say what is scored in two ways, or in half a way."""
    if compared is not None and run is not None:
        raise UsageError(
            "--compare takes two runs, and no third beside them",
            where=str(run),
            remedy="leave out what stands before or after --compare A B",
        )
    if compared is not None and (preset is not None or images is not None):
        raise UsageError(
            "--compare measures nothing",
            remedy="score each run first, then compare without --preset and --images",
        )
    if (images is None) != (against is None):
        raise UsageError(
            "--images and --against go together: what is scored, and what it is compared with",
            remedy="dddm evaluate --images PATH --against RECIPE",
        )
    if images is not None and run is not None:
        raise UsageError(
            "a run and --images cannot be scored at once",
            where=str(run),
            remedy="name the run after --against if its training images are meant",
        )


def _score_run(
    recipe: "Recipe",
    folder: "RunFolder",
    *,
    preset: str | None,
    device: str,
    catalogue: "Catalogue",
) -> "tuple[ScoreRecord, ...] | None":
    """The scores; None in a process that is not the first."""
    from dddm.evaluate.evaluate import evaluate as evaluate_run
    from dddm.evaluate.evaluator import Bench
    from dddm.evaluate.merge_scores import RECIPE
    from dddm.train.device import choose_device
    from dddm.train.events import EventBus, subscribers_for
    from dddm.train.processes import join
    from dddm.train.stopping import StopRequest

    chosen = choose_device(device, local_rank=local_rank())
    with join(chosen) as processes:
        observers = (
            subscribers_for(recipe, catalogue=catalogue, folder=folder) if processes.main else []
        )
        stop = StopRequest()
        events = EventBus(observers, stop=stop)
        bench = Bench(
            notify=events.publish,
            clock=events.clock,
            device=chosen,
            stop=stop,
            processes=processes,
        )
        try:
            scores = evaluate_run(
                recipe, folder=folder, bench=bench, asked_by=RECIPE if preset is None else preset
            )
        finally:
            events.report_failures()
            events.close()
    return scores if processes.main else None


def show_scores(scores: "tuple[ScoreRecord, ...]") -> None:
    """Print the scores on stdout, one row for each set of samples."""
    from rich.console import Console

    from dddm.cli.score_table import tables

    console = Console()
    for table in tables(scores):
        console.print(table)
