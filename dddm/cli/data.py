"""`dddm data`: packs and checks the images of a recipe."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import attrs
import click

from dddm.cli.options import (
    catalogue_of,
    json_option,
    overrides_option,
    recipe_argument,
    show_json,
)
from dddm.errors import printable
from dddm.support.quantities import counted

if TYPE_CHECKING:
    from dddm.interfaces.data_report import DataReport, Problem, SplitReport
    from dddm.interfaces.dataset import Dataset

_SHOWN_CLASSES: Final = 20

_workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that decode images.  [default: one for each core]",
)


@click.group()
def data() -> None:
    """Pack and check the images of a recipe.

    Image files are packed once into a memory-mapped array that training reads in batches.
    `dddm run` packs by itself; `dddm data pack` does it ahead of time, on any machine with the same
    files.

    \b
    Examples:
      dddm data pack my-recipe.toml
      dddm data check my-recipe.toml
    """  # noqa: D301 - click reads the backspace as "do not rewrap"


@data.command()
@recipe_argument
@overrides_option
@_workers_option
@click.pass_context
def pack(ctx: click.Context, recipe: str, overrides: tuple[str, ...], workers: int | None) -> None:
    """Pack the images of RECIPE and print the packed folder.

    Packed images are not packed again.  After Ctrl-C, a crash or a power cut the same command
    resumes with the images that are not on disk yet.

    \b
    Examples:
      dddm data pack my-recipe.toml
      dddm data pack my-recipe.toml --workers 4 --set data.packed=/fast/disk/packed
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.cli.image_progress import image_progress
    from dddm.training.stopping import stop_on_signals

    with stop_on_signals() as stop:
        dataset = _dataset(ctx, recipe, overrides)
        with image_progress() as shown:

            def progress(what: str, done: int, total: int) -> None:
                shown(what, done, total)
                stop.raise_if_requested(where=f"{what}: {done:,} of {total:,} images")

            folder = dataset.prepare(progress=progress, workers=workers)
    if folder is None:
        click.echo("nothing to pack: this data set does not read image files", err=True)
        return
    from dddm.data.packed_format import count_left_out

    if left_out := count_left_out(folder):
        remedy = f"list them with `dddm data check {recipe}`"
        click.echo(f"{counted(left_out, 'damaged image')} left out\n  try: {remedy}", err=True)
    click.echo(str(folder))


@data.command()
@recipe_argument
@overrides_option
@_workers_option
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    workers: int | None,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Check every image of RECIPE, and the packed array if there is one.

    Lists damaged files and sizes that differ, counts images per class, finds duplicates, and
    verifies checksums.  Exit code 7 if there is a problem; duplicates are not one.

    \b
    Examples:
      dddm data check my-recipe.toml
      dddm data check my-recipe.toml --json
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.cli.image_progress import image_progress
    from dddm.data.examine import examine_dataset

    dataset = _dataset(ctx, recipe, overrides)
    with image_progress() as progress:
        report = examine_dataset(dataset, progress=progress, workers=workers)
    if as_json:
        show_json(attrs.asdict(report))
    else:
        _show(report)
    if report.problems:
        from dddm.errors import DataError

        first, count = report.problems[0], counted(len(report.problems), "problem")
        raise DataError(
            f"{count} with these images; the first: {first.what}",
            where=first.where,
            remedy=first.remedy or "replace or remove the files listed above",
        )


def _dataset(ctx: click.Context, recipe: str, overrides: tuple[str, ...]) -> "Dataset":
    from dddm.recipe.read import read_recipe

    read = read_recipe(recipe, overrides=overrides, catalogue=catalogue_of(ctx))
    made: Dataset = read.data.instantiate()
    return made


def _show(report: "DataReport") -> None:
    click.echo(f"shape (channels×height×width): {report.shape}")
    for name, split in report.splits.items():
        click.echo(printable(f"{name}: {split.images:,} images{_classes(split)}"))
    for note in report.notes:
        click.echo(note)
    if report.packed is not None:
        click.echo(f"packed: {report.packed}")
    if report.duplicates:
        click.echo(f"{len(report.duplicates):,} groups of equal images:")
    _show_first([f"  {' = '.join(group)}" for group in report.duplicates], "duplicates", limit=20)
    if report.left_out:
        click.echo(f"{counted(len(report.left_out), 'damaged image')} left out:")
        _show_first(_lines(report.left_out), "images left out", limit=100)
    _show_first(_lines(report.problems), "problems", limit=100)


def _lines(problems: "Sequence[Problem]") -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in problems]


def _classes(split: "SplitReport") -> str:
    if not split.classes:
        return ", no classes"
    counts = split.classes
    if len(counts) <= _SHOWN_CLASSES:
        return "; " + ", ".join(f"{name} {count:,}" for name, count in counts.items())
    fewest, most = min(counts.values()), max(counts.values())
    return f"; {len(counts):,} classes of {fewest:,} to {most:,} images"


def _show_first(lines: list[str], what: str, *, limit: int) -> None:
    for line in lines[:limit] or [f"no {what}"]:
        click.echo(printable(line))
    if len(lines) > limit:
        click.echo(f"  and {len(lines) - limit:,} more (listed by --json)")
