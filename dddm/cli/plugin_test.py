"""`dddm plugin test`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from dddm.cli.options import catalogue_of, complete_component, json_option, show_json

if TYPE_CHECKING:
    # Help waits for none of them.
    from dddm.registry.component import Component
    from dddm.testing.conformance import Result


def _complete(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del parameter
    return complete_component(ctx, incomplete)


@click.command()
@click.argument("name", shell_complete=_complete)
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="CHECK",
    help="Run only this check; can be repeated.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Use these options instead of the examples of the registration.",
)
@click.option("--list", "only_list", is_flag=True, help="List the checks without running them.")
@json_option
@click.pass_context
def test(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    name: str,
    checks: tuple[str, ...],
    options: tuple[str, ...],
    only_list: bool,  # noqa: FBT001 - click passes it by name
    as_json: bool,  # noqa: FBT001 - as above
) -> None:
    """Test the component NAME against its interface.

    NAME is a component's id or name, or a namespace or package, for all of its components.  Each is
    tested with the options that its registration gives as examples.  Exit code 4 if a check fails.

    \b
    Examples:
      dddm plugin test charbonnier
      dddm plugin test dddm:l1 --check metric.symmetric
      dddm plugin test dddm:folder --option path="photographs"
      dddm plugin test dddm-charbonnier --json
      dddm plugin test charbonnier --list
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from attrs import asdict

    from dddm.errors import PluginError
    from dddm.testing.conformance import find_components, run_trials, summary_of, trials_of

    catalogue = catalogue_of(ctx)
    components = find_components(catalogue, name)
    if only_list:
        _list(components, as_json=as_json)
        return
    examples = [_example(ctx, components, options)] if options else None
    trials = trials_of(name, examples=examples, checks=checks or None, catalogue=catalogue)
    results = run_trials(trials)
    failed = [result for result in results if result.outcome == "failed"]
    if as_json:
        facts = [asdict(result) for result in results]
        show_json({"ok": not failed, "summary": summary_of(results), "results": facts})
    else:
        _show(results)
        click.echo(f"\n{summary_of(results)}")
    if failed:
        first = "a check" if len(failed) == 1 else f"{len(failed)} checks"
        raise PluginError("\n".join([f"{first} failed", *_explained(failed)]))


def _list(components: "tuple[Component, ...]", *, as_json: bool) -> None:
    from dddm.testing.suites import checks_of

    checks = {check.name: check for c in components for check in checks_of(c.kind)}
    if as_json:
        show_json(
            [
                {"name": c.name, "promise": c.promise, "capability": c.capability}
                for c in checks.values()
            ]
        )
        return
    for check in checks.values():
        needs = "" if check.capability is None else f"  (capability {check.capability})"
        click.secho(check.name, bold=True, nl=False)
        click.echo(f"{needs}\n    {check.promise}")


def _example(
    ctx: click.Context, components: "tuple[Component, ...]", options: tuple[str, ...]
) -> dict[str, Any]:
    """Options from the command line, as a recipe's table holds them."""
    from dddm.errors import UsageError
    from dddm.recipe.model import plain
    from dddm.recipe.read import read_component

    if len(components) > 1:
        names = ", ".join(component.id for component in components)
        raise UsageError(
            f"--option applies to one component, and {len(components)} are tested",
            remedy=f"name one of {names}",
        )
    (component,) = components
    use = read_component(component.kind, component.id, options=options, catalogue=catalogue_of(ctx))
    given = {option.partition("=")[0].partition(".")[0] for option in options}
    return {name: value for name, value in plain(use.options).items() if name in given}


_SIGNS = {"passed": "✓", "failed": "✗", "skipped": "·", "xfailed": "✓"}
_LABELS = {"passed": "", "failed": "  failed: ", "skipped": "  skipped: ",
           "xfailed": "  failed as expected: "}  # fmt: skip


def _show(results: "Sequence[Result]") -> None:
    """A line for each check, under its component and example; one cause in words once."""
    shown = None
    seen: dict[str, str] = {}
    for result in results:
        if shown != (result.component, result.example):
            shown = (result.component, result.example)
            click.secho(result.component, bold=True, nl=False)
            click.echo(f"  {result.kind}, with {result.example}")
        detail, failed = result.detail, result.outcome == "failed"
        if failed and (first := seen.setdefault(detail, result.name)) != result.name:
            detail = f"as {first}"
        sign = click.style(f"  {_SIGNS[result.outcome]} ", fg="red" if failed else "green")
        click.echo(f"{sign}{result.name}{_LABELS[result.outcome]}{detail}")


def _explained(failed: "Sequence[Result]") -> list[str]:
    """What failed in words; checks of which the same was seen together."""
    alike: dict[tuple[str, str, str], list[Result]] = {}
    for result in failed:
        alike.setdefault((result.component, result.kind, result.detail), []).append(result)
    lines = []
    for (component, _, detail), results in alike.items():
        examples = "; ".join(dict.fromkeys(result.example for result in results))
        lines.append(f"{component} with {examples}:")
        for name, promise in dict.fromkeys((result.name, result.promise) for result in results):
            lines.append(f"  {name} promises: {promise}")
        where = results[0].where
        lines.append(f"  seen: {detail}" + ("" if where is None else f" ({where})"))
        if results[0].lacks is not None:
            lines.append(
                "  if it is meant to be so, declare "
                f'Conformance(lacks={{"{results[0].lacks}": "the reason"}})'
            )
    return lines
