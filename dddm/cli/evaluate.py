"""`dddm evaluate`: scores the samples of a run or other images, and compares scores."""

from pathlib import Path
from typing import TYPE_CHECKING, final

import click

from dddm.cli.options import (
    catalogue_of,
    complete_preset,
    device_option,
    json_option,
    nproc_option,
    run_workers,
    show_json,
)
from dddm.errors import DataError, RecipeError, UsageError
from dddm.training.launch import is_worker, local_rank

if TYPE_CHECKING:
    # They import torch, which help must not wait for.
    from dddm.evaluate.compare import Comparison
    from dddm.evaluate.record import ScoreRecord
    from dddm.recipe.model import Evaluation, Recipe
    from dddm.registry.catalogue import Catalogue
    from dddm.training.context import RunContext
    from dddm.training.run_folder import RunFolder


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--compare",
    "compared",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="A B",
    help="Compare the existing scores of two runs.",
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
    help="With --images: the real images, as a recipe, a run, or a path of images.",
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

    Writes scores.json into the run folder and prints a table.  Next to the Fréchet distance (FD,
    less is better) are those of real images at the same count; "nearest" is the median distance to
    the nearest training image, next to that of held-out images, and "close" the share of samples
    nearer to a training image than 99 % of held-out images are: about 1 % is expected, far more
    means copying.  Other scores of the recipe (evaluate.scores) have a second table.

    With --preset the scores of that preset are added to the file.

    \b
      cifar10-paper   FID, IS and KID as in table 1 of the paper; needs Inception
      imagenet64-adm  FID, IS, precision and recall as in table 2; needs Inception
      unbiased        distances in CLIP and DINOv2, which no loss uses; needs both
      no-weights      cheap scores of 8×8 averages of any images; needs nothing

    With --images and --against any images are scored; nothing is written.

    With --compare nothing is measured: the existing scores of A and B are shown side by side where
    images, features and formula are the same, and otherwise what differs.

    \b
    Examples:
      dddm evaluate
      dddm evaluate runs/digits --json
      dddm evaluate runs/cifar10 --preset unbiased --nproc 8
      dddm evaluate --images theirs.npz --against cifar10
      dddm evaluate --images folder/ --against other/ --preset no-weights --json
      dddm evaluate --compare runs/digits runs/other
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    _check_options(run, compared, preset=preset, images=images, against=against)
    if compared is not None:
        _show_comparison(compared, as_json=as_json)
        return
    from dddm.recipe.read import read_recipe
    from dddm.training.needed_weights import verify_weights
    from dddm.training.run_folder import find_run

    catalogue = catalogue_of(ctx)
    folder: RunFolder | None = None
    if images is not None and against is not None:
        recipe, evaluation = _real_images(against, preset=preset, catalogue=catalogue)
    else:
        folder = find_run(None if run is None else str(run))
        recipe = read_recipe(folder.recipe, preset=preset, catalogue=catalogue)
        if recipe.evaluate is None:
            raise RecipeError(
                "this run's recipe has no table [evaluate]",
                where=str(folder.recipe),
                remedy="score by a preset, `--preset no-weights`; or add to the recipe [evaluate] "
                'with features = "pixels", and run it again',
            )
        evaluation = recipe.evaluate
    verify_weights((*evaluation.features, *evaluation.scores))
    if nproc is not None and not is_worker():
        ctx.exit(run_workers(ctx, processes=nproc))
    if images is not None and against is not None:
        data = recipe if recipe is not None else Path(against)
        scores = _score_images(
            images, data, evaluation=evaluation, device=device, catalogue=catalogue
        )
    else:
        assert recipe is not None
        assert folder is not None
        # Here: they import torch.
        from dddm.training.context import open_trained
        from dddm.training.stopping import StopRequest

        stop = StopRequest()
        with open_trained(recipe, folder, catalogue=catalogue, device=device, stop=stop) as context:
            scores = _score_run(context, preset=preset)
    if scores is None:
        return
    if as_json:
        show_json([score.to_json() for score in scores])
    else:
        show_scores(scores)


def _check_options(
    run: Path | None,
    compared: tuple[Path, Path] | None,
    *,
    preset: str | None,
    images: Path | None,
    against: str | None,
) -> None:
    if compared is not None and run is not None:
        raise UsageError(
            "--compare takes exactly two runs",
            where=str(run),
            remedy="remove what is before or after --compare A B",
        )
    if compared is not None and (preset is not None or images is not None):
        raise UsageError(
            "--compare does not measure scores",
            remedy="score each run first, then compare without --preset and --images",
        )
    if (images is None) != (against is None):
        raise UsageError(
            "--images and --against are used together: what is scored, and the real images",
            remedy="dddm evaluate --images PATH --against RECIPE",
        )
    if images is not None and run is not None:
        raise UsageError(
            "a run and --images cannot be scored at once",
            where=str(run),
            remedy="name the run after --against if you mean its training images",
        )


def _score_run(context: "RunContext", *, preset: str | None) -> "tuple[ScoreRecord, ...] | None":
    """The scores; None in a process other than the first."""
    from dddm.evaluate.evaluate import evaluate as evaluate_run
    from dddm.evaluate.record import FROM_RECIPE

    try:
        scores = evaluate_run(context, requested_by=preset or FROM_RECIPE)
    finally:
        context.events.report_failures()
        context.events.close()
    return scores if context.processes.main else None


def _real_images(
    against: str, *, preset: str | None, catalogue: "Catalogue"
) -> "tuple[Recipe | None, Evaluation]":
    """The recipe of the real images, None for images at a path; and how to score.

    Raises:
        UsageError: if neither the recipe nor a preset says how to score.
        RecipeError: if there is no such recipe or preset, or it is wrong.
    """
    from dddm.recipe.evaluation import preset_names, read_evaluation
    from dddm.recipe.read import read_recipe
    from dddm.training.run_folder import RunFolder, is_run

    path, recipe = Path(against), None
    folder = RunFolder(path)
    if is_run(folder):
        recipe = read_recipe(folder.recipe, preset=preset, catalogue=catalogue)
    elif not path.is_dir() and path.suffix.lower() not in {".npz", ".zip"}:
        recipe = read_recipe(against, preset=preset, catalogue=catalogue)
    if recipe is not None and recipe.evaluate is not None:
        return recipe, recipe.evaluate
    if preset is None:
        raise UsageError(
            "how to score is not given: --against names no recipe with a table [evaluate]",
            where=f"--against {against}",
            remedy=f"choose a preset: --preset {' or '.join(preset_names())}",
        )
    return recipe, read_evaluation(preset, catalogue=catalogue)


def _score_images(
    images: Path,
    real_images: "Recipe | Path",
    *,
    evaluation: "Evaluation",
    device: str,
    catalogue: "Catalogue",
) -> "tuple[ScoreRecord, ...] | None":
    """The scores; None in a process other than the first."""
    from dddm.cli.image_progress import image_progress
    from dddm.evaluate.extract import EvaluationContext
    from dddm.evaluate.score_images import images_at, open_real, score_images
    from dddm.interfaces.observer import DataProgress, Event, Notice, Observer
    from dddm.training.device import choose_device
    from dddm.training.events import EventBus, Subscriber
    from dddm.training.processes import join
    from dddm.training.stopping import stop_on_signals

    chosen = choose_device(device, local_rank=local_rank())
    with stop_on_signals() as stop, join(chosen) as processes, image_progress() as progress:

        @final
        class Terminal(Observer):
            def on_event(self, event: Event) -> None:
                if isinstance(event, DataProgress):
                    progress(event.what, event.done, event.total)
                elif isinstance(event, Notice):
                    click.echo(event.text, err=True)

        follower = Subscriber(title="terminal", make=Terminal)
        context = EvaluationContext(
            events=EventBus([follower] if processes.main else []),
            device=chosen,
            stop=stop,
            processes=processes,
        )
        data = (
            images_at(real_images, catalogue=catalogue)
            if isinstance(real_images, Path)
            else real_images.data
        )
        real = open_real(data, context=context)
        scores = score_images(
            images, evaluation=evaluation, real=real, catalogue=catalogue, context=context
        )
        return scores if processes.main else None


def show_scores(scores: "tuple[ScoreRecord, ...]", *, to_stderr: bool = False) -> None:
    """Print the scores, one row for each set of samples."""
    from rich.console import Console

    from dddm.cli.score_table import tables

    console = Console(stderr=to_stderr)
    for table in tables(scores):
        console.print(table)


def _show_comparison(runs: tuple[Path, Path], *, as_json: bool) -> None:
    """Print the scores of two runs side by side.

    Raises:
        DataError: if a run has no scores, or no two of them can be compared.
    """
    from rich.console import Console

    from dddm.cli.score_table import comparison_table
    from dddm.evaluate.compare import compare

    found = compare(*(_scores_of(run) for run in runs))
    if all(pair.differences for pair in found.pairs):
        raise DataError(
            f"no score of these runs can be compared: {_first_reason(found)}",
            where=f"{runs[0]} and {runs[1]}",
            remedy="score both with the same features, scores, images and number of samples",
        )
    if as_json:
        show_json(
            [
                {
                    "score": pair.first.measure.name,
                    "sampler": pair.first.sampler,
                    "steps": pair.first.steps,
                    "better": pair.first.measure.better,
                    "values": None if pair.differences else [pair.first.value, pair.second.value],
                    "differences": list(pair.differences),
                }
                for pair in found.pairs
            ]
        )
        return
    Console().print(comparison_table(found, names=(str(runs[0]), str(runs[1]))))
    for pair in found.pairs:
        for difference in pair.differences:
            click.echo(f"not compared: {_title(pair.first)}: {difference}", err=True)
    for number, score in found.unpaired:
        click.echo(f"only in {runs[number]}: {_title(score)}", err=True)


def _scores_of(run: Path) -> "tuple[ScoreRecord, ...]":
    from dddm.evaluate.record import read_scores
    from dddm.training.run_folder import find_run

    folder = find_run(str(run))
    scores = read_scores(folder.scores)
    if not scores:
        raise DataError(
            "this run has no scores",
            where=str(folder.scores),
            remedy=f"measure them first: dddm evaluate {folder.path}",
        )
    return scores


def _first_reason(found: "Comparison") -> str:
    for pair in found.pairs:
        return f"{_title(pair.first)}: {'; '.join(pair.differences)}"
    return "they have no score, sampler and number of steps in common"


def _title(score: "ScoreRecord") -> str:
    return f"{score.measure.name} of {score.sampler} at {score.steps} steps"
