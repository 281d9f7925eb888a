"""`dddm verify`: draws images of a run again, and scores again."""

from typing import TYPE_CHECKING, Any

import click

from dddm.cli.options import (
    catalogue_of,
    device_option,
    find_shared,
    json_option,
    overrides_option,
    shared_argument,
    show_json,
)

if TYPE_CHECKING:
    # They import torch, which help must not wait for.
    from dddm.evaluate.verify import DrawnSet, Verification


@click.command()
@shared_argument
@click.option(
    "--images",
    type=click.IntRange(min=0),
    default=64,
    show_default=True,
    help="Images of each set to draw again, in random blocks of 64; as many as were scored to "
    "score those drawn again; 0 for none.",
)
@overrides_option
@device_option
@json_option
@click.pass_context
def verify(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    run: str | None,
    images: int,
    overrides: tuple[str, ...],
    device: str,
    as_json: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Check what RUN claims: draw images again from its weights, and score again.

    RUN is a folder, a run that comes with dddm, or hf://user/name[@revision]; without it, the
    newest run.  Nothing is written.  Each score gets a verdict:

    \b
      verified      its images were drawn again and agree, and so does the score
      scored only   it was measured on the stored images, none of which were drawn again
      printed only  it cannot be measured here, as without the images or the features
      contradicted  the score, or the images drawn again, are others

    Images agree if 19 of 20 differ by at most 2 of 255 levels on average, scores within 2 %.
    Anything contradicted, and a file that is not as listed, ends with exit code 7.

    \b
    Examples:
      dddm verify digits
      dddm verify hf://user/faces --set data.path=faces --images 1000
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from random import SystemRandom

    from dddm.training.stopping import stop_on_signals

    folder, recipe = find_shared(ctx, run, samples=True, overrides=overrides)
    catalogue = catalogue_of(ctx)
    with stop_on_signals() as stop:
        from dddm.errors import DataError
        from dddm.evaluate.verify import verify as verify_run
        from dddm.training.context import RunContext
        from dddm.training.device import choose_device
        from dddm.training.events import EventBus
        from dddm.training.portable import MANIFEST, changed_files, read_list

        listed = (folder.path / MANIFEST).is_file()
        files = read_list(folder.path / MANIFEST) if listed else {}
        changed = changed_files(folder.path, files)
        context = RunContext(
            recipe=recipe,
            folder=folder,
            device=choose_device(device),
            stop=stop,
            events=EventBus.for_notices(lambda text: click.echo(text, err=True)),
        )
        found = verify_run(context, images=images, catalogue=catalogue, random=SystemRandom())
    if as_json:
        show_json(_as_json(found, changed=changed, listed=len(files) if listed else None))
    else:
        for sentence in changed:
            click.echo(sentence)
        if listed and not changed:
            click.echo(f"{len(files)} files, all as listed")
        _show(found)
    wrong = len(changed) + found.contradictions
    if wrong:
        raise DataError(
            "this run is not what it says",
            where=str(folder.path),
            remedy="do not rely on its scores; ask whoever made it",
        )


def _show(found: "Verification") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from dddm.support.quantities import counted

    for one in found.sets:
        facts = one.samples.facts
        click.echo(f"{facts['sampler']}, {counted(facts['steps'], 'step')}: {_in_words(one)}")
    if not found.claims:
        click.echo("no scores are claimed")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("score", "sampler", "steps", "claimed", "measured", "verdict"):
        table.add_column(name)
    reasons: dict[str, None] = {}
    for claim in found.claims:
        record = claim.record
        measured = "–" if claim.measured is None else f"{claim.measured:.4g}"
        values = (f"{record.value:.4g}", measured, claim.verdict)
        table.add_row(record.name, record.sampler, str(record.steps), *values)
        if claim.why:
            reasons[f"{claim.verdict}: {claim.why}"] = None
    Console().print(table)
    for reason in reasons:
        click.echo(reason)


def _in_words(one: "DrawnSet") -> str:
    if one.problem is not None:
        return f"contradicted: {one.problem}"
    if not one.drawn:
        return "not drawn again"
    drawn = f"{one.drawn:,} of {one.stored:,} images drawn again"
    if not one.largest:
        return f"{drawn}, equal"
    by = f"by at most {one.largest} of 255 levels, by {one.mean:.2g} on average"
    return f"{drawn}, differ {by}" + ("" if one.agrees else ": contradicted")


def _as_json(found: "Verification", *, changed: list[str], listed: int | None) -> dict[str, Any]:
    return {
        "files": {"listed": listed, "changed": changed},
        "samples": [
            {
                "folder": one.path.name,
                "stored": one.stored,
                "drawn": one.drawn,
                "unlike": one.unlike,
                "largest_difference_levels": one.largest,
                "mean_difference_levels": one.mean,
                "agrees": one.agrees,
                "problem": one.problem,
            }
            for one in found.sets
        ],
        "claims": [
            {
                "score": claim.record.name,
                "sampler": claim.record.sampler,
                "steps": claim.record.steps,
                "claimed": claim.record.value,
                "measured": claim.measured,
                "verdict": claim.verdict,
                "why": claim.why,
            }
            for claim in found.claims
        ],
    }
