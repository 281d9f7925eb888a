"""`dddm run`: trains, samples, evaluates and reports."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dddm.cli.options import (
    catalogue_of,
    device_option,
    json_option,
    nproc_option,
    overrides_option,
    recipe_argument,
    run_workers,
    show_json,
)
from dddm.errors import UsageError, printable
from dddm.training.launch import is_worker

if TYPE_CHECKING:
    from dddm.recipe.model import Recipe
    from dddm.recipe.sweep import EntryRun, Sweep
    from dddm.registry.catalogue import Catalogue
    from dddm.training.stopping import StopRequest
    from dddm.workflow.dry_run import CostEstimate
    from dddm.workflow.parallel import Jobs


def _bytes(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """A number of bytes with its unit."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d*)?) ?([kMGT])(i?)B", value)
    unit = (1024 if found[3] else 1000) ** " kMGT".index(found[2]) if found else 0
    size = round(float(found[1]) * unit) if found else 0
    if not size:
        raise click.BadParameter(f"{value!r} is no size; write, for instance, 80GB or 24GiB")
    return size


@click.command()
@recipe_argument
@overrides_option
@click.option(
    "--preset",
    type=click.Choice(["gpu"]),
    help="gpu: bfloat16, compiled, TF32, data and store on the device; --set wins over it.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Folder of the run.  [default: runs/NAME, with the recipe's name]",
)
@click.option(
    "--entry",
    metavar="NAME",
    help="Run only this entry of a sweep, or one of its training seeds: NAME/seed-0.",
)
@device_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what the run would take (steps, FLOPs, memory) and stop.",
)
@click.option(
    "--memory",
    metavar="SIZE",
    callback=_bytes,
    help="With --dry-run: a device's memory, such as 80GB; says how many images at a time fit in "
    "it.  [default: that of this machine's GPU]",
)
@click.option(
    "--measure",
    is_flag=True,
    help="With --dry-run: run the network on --device for some seconds, and say how long training "
    "and samples would take.",
)
@json_option
@nproc_option
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Run N entries of a sweep at a time, each in a process of its own, one per GPU.",
)
@click.pass_context
def run(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    preset: str | None,
    folder: Path | None,
    entry: str | None,
    device: str,
    dry_run: bool,  # noqa: FBT001 - click passes it by name
    memory: int | None,
    measure: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - click passes it by name
    nproc: int | None,
    jobs: int | None,
) -> None:
    """Train RECIPE, generate its samples, score them, and write a report.

    RECIPE is a file, or the name of a recipe that comes with dddm.  Finished work is not repeated:
    after Ctrl-C, a crash or a power cut the same command resumes from the last checkpoint, with
    the same result.  Ends with the table of scores, as `dddm evaluate` shows it, one sentence on
    them, and the path of the report.

    If RECIPE has a sweep, every entry is a run in its own subfolder of --folder; afterwards a table
    of all entries is printed, and the path of a page that compares them.

    \b
    Examples:
      dddm run digits
      dddm run recipes/digits.toml --folder runs/first
      dddm run digits --set train.epochs=2 --set seed=1 --folder runs/short
      dddm run imagenet64_deep --dry-run --memory 80GB
      dddm run digits --dry-run --measure
      dddm run cifar10 --nproc 8
      dddm run cifar10 --preset gpu
      dddm run figure2a --jobs 5
      torchrun --nproc-per-node 8 -m dddm run cifar10
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.training.stopping import stop_on_signals

    # Before torch is imported, so that Ctrl-C is a request to stop from here on.
    with stop_on_signals() as stop:
        from dddm.recipe.model import check_processes
        from dddm.recipe.sweep import Sweep, choose_runs, read_recipe_or_sweep

        catalogue = catalogue_of(ctx)
        overrides = _with_preset(preset, recipe, overrides=overrides, catalogue=catalogue)
        read = read_recipe_or_sweep(recipe, overrides=overrides, catalogue=catalogue)
        chosen = None if entry is None else choose_runs(read, entry)
        if isinstance(read, Sweep):
            path = folder or Path("runs") / read.base.name
            runs = read.runs if chosen is None else chosen
        else:
            path, runs = folder or Path("runs") / read.name, ()
        _check_jobs(jobs, sweep=isinstance(read, Sweep), nproc=nproc)
        _check_asked(memory, measure=measure, dry_run=dry_run)
        if dry_run:
            memory = memory or _memory_of_gpu()
            on = device if measure else None
            _show_cost(read, runs, memory=memory, measured_on=on, as_json=as_json)
            return

        def run_here(one: "Recipe", at: Path) -> Path | None:
            from dddm.workflow.run import run_recipe

            return run_recipe(one, at, catalogue=catalogue, device=device, stop=stop)

        if isinstance(read, Sweep):
            if nproc is None and not is_worker():
                several = None
                if jobs is not None:
                    several = _jobs(
                        ctx,
                        min(jobs, len(runs)),
                        recipe=recipe,
                        overrides=overrides,
                        folder=path,
                        device=device,
                    )
                _run_sweep(read, runs, path, run_here, jobs=several, stop=stop, as_json=as_json)
                return
            if len(runs) > 1:
                raise UsageError(
                    "several processes run one entry of a sweep at a time",
                    where=recipe,
                    remedy="choose one: --entry " + " or --entry ".join(one.name for one in runs),
                )
            read, path = runs[0].recipe, path / runs[0].name
        if nproc is None or is_worker():
            page = run_here(read, path)
            if page is not None:
                _show_end(page, as_json=as_json)
            return
        check_processes(nproc, batch_images=read.batch_units, shards=read.train.shards)
    # Outside the block: the launcher passes signals on to the workers.
    ctx.exit(run_workers(ctx, processes=nproc))


def _show_end(page: Path, *, as_json: bool) -> None:
    """The scores and a sentence on them on stderr, and the path of the report on stdout."""
    from dddm.cli.evaluate import show_scores
    from dddm.evaluate.verdicts import headline
    from dddm.report.scores import load_scores

    scores, _ = load_scores(page.with_name("scores.json"))
    verdict = headline(scores)
    if as_json:
        show_json({"report": str(page), "verdict": verdict})
        return
    if scores:
        show_scores(scores, to_stderr=True)
    if verdict is not None:
        click.echo(printable(f"{verdict}."), err=True)
    click.echo(str(page))


def _with_preset(
    preset: str | None, recipe: str, *, overrides: tuple[str, ...], catalogue: "Catalogue"
) -> tuple[str, ...]:
    if preset is None:
        return overrides
    from dddm.recipe.gpu_preset import with_gpu_preset

    return with_gpu_preset(recipe, overrides=overrides, catalogue=catalogue)


def _check_jobs(jobs: int | None, *, sweep: bool, nproc: int | None) -> None:
    if jobs is None:
        return
    where = f"--jobs {jobs}"
    if not sweep:
        remedy = "leave --jobs out, or share one run between processes with --nproc"
        raise UsageError("--jobs runs several entries of a sweep", where=where, remedy=remedy)
    if nproc is not None or is_worker():
        remedy = "leave one of them out"
        raise UsageError("--jobs and --nproc cannot be combined", where=where, remedy=remedy)


def _jobs(
    ctx: click.Context,
    count: int,
    *,
    recipe: str,
    overrides: "Sequence[str]",
    folder: Path,
    device: str,
) -> "Jobs":
    """The same command for one run of the sweep."""
    import sys

    import torch

    from dddm.workflow.parallel import Jobs, visible_gpus

    disabled = ctx.find_root().ensure_object(dict).get("disabled", ())
    before = [word for name in disabled for word in ("-p", f"no:{name}")]
    after = [word for change in overrides for word in ("--set", change)]
    after += ["--folder", str(folder), "--device", device]
    return Jobs(
        count=count,
        command=lambda name: [
            sys.executable,
            "-m",
            "dddm",
            *before,
            "run",
            recipe,
            *after,
            "--entry",
            name,
        ],
        gpus=visible_gpus(device, count=torch.cuda.device_count),
    )


def _check_asked(memory: int | None, *, measure: bool, dry_run: bool) -> None:
    if memory is not None and not dry_run:
        remedy = "add --dry-run, or leave --memory out"
        raise UsageError("--memory asks what would fit", where="--memory", remedy=remedy)
    if measure and not dry_run:
        remedy = "add --dry-run, or leave --measure out"
        raise UsageError("--measure asks how long it would take", where="--measure", remedy=remedy)


def _memory_of_gpu() -> int | None:
    """Bytes of the first one's memory; None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    return int(torch.cuda.get_device_properties(0).total_memory)


def _show_cost(
    read: "Recipe | Sweep",
    runs: "Sequence[EntryRun]",
    *,
    memory: int | None,
    measured_on: str | None,
    as_json: bool,
) -> None:
    """Of a sweep that of each entry once, as its seed changes no cost, then all side by side."""
    from dddm.cli.cost_table import show_budgets
    from dddm.recipe.sweep import Sweep

    if not isinstance(read, Sweep):
        _show_costs([read], memory=memory, measured_on=measured_on, as_json=as_json)
        return
    entries = read.entries_of(runs)
    recipes = [entry.recipe for entry in entries]
    estimates = _show_costs(recipes, memory=memory, measured_on=measured_on, as_json=as_json)
    if len(entries) > 1 and not as_json:
        named = {entry.name: each for entry, each in zip(entries, estimates, strict=True)}
        show_budgets(named, seeds=len(read.training_seeds))


def _show_costs(
    recipes: "Sequence[Recipe]", *, memory: int | None, measured_on: str | None, as_json: bool
) -> "list[CostEstimate]":
    from dddm.cli.cost_table import show_cost
    from dddm.training.device import choose_device
    from dddm.training.speed import network_speed
    from dddm.workflow.dry_run import estimate_cost

    estimates: list[CostEstimate] = []
    costs: list[dict[str, object]] = []
    for recipe in recipes:
        estimate = estimate_cost(recipe)
        estimates.append(estimate)
        seconds = None
        if measured_on is not None:
            speed = network_speed(
                recipe,
                facts=estimate.facts,
                forward_flops=estimate.cost.network.forward,
                device=choose_device(measured_on),
            )
            seconds = estimate.seconds(speed)
        if not as_json:
            show_cost(recipe, estimate, memory=memory, seconds=seconds)
        cost = {"recipe": recipe.name, **estimate.as_table, **_fit(estimate, memory)}
        if seconds is not None:
            cost["seconds"] = dict(zip(("training", "samples"), seconds, strict=True))
        costs.append(cost)
    if as_json:
        show_json(costs[0] if len(costs) == 1 else {"entries": costs})
    return estimates


def _fit(estimate: "CostEstimate", memory: int | None) -> dict[str, object]:
    fit = None if memory is None else estimate.fit(memory)
    if fit is None:
        return {}
    return {
        "fits": {
            "memory": memory,
            "images": fit.images,
            "accumulation_steps": fit.accumulation_steps,
        }
    }


def _run_sweep(
    sweep: "Sweep",
    runs: "Sequence[EntryRun]",
    folder: Path,
    run_entry: "Callable[[Recipe, Path], object]",
    *,
    jobs: "Jobs | None",
    stop: "StopRequest",
    as_json: bool,
) -> None:
    from dddm.cli.sweep_table import show_table
    from dddm.workflow.sweep import run_sweep

    for warning in sweep.warnings:
        click.echo(f"warning: {warning}", err=True)
    outcome = run_sweep(
        sweep,
        chosen=runs,
        folder=folder,
        run_entry=run_entry,
        jobs=jobs,
        stop=stop,
        notify=lambda sentence: click.echo(sentence, err=True),
    )
    if as_json:
        rows = [row.to_json() for row in outcome.table.rows]
        show_json({"report": str(outcome.page), "entries": rows})
    else:
        show_table(outcome.table)
        click.echo(str(outcome.page))
    if outcome.failures:
        raise outcome.failures[0]
