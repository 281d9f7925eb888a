"""`dddm plugin test`: the conformance kit on the command line."""

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from dddm.cli.common import catalogue_of, complete_component, json_option, show_json

if TYPE_CHECKING:
    # Help waits for none of them.
    from dddm.registry.component import Component
    from dddm.testing.report import Report, Result


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
    help="Try this check alone; as often as wanted.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Try the component with these options, instead of its declared examples.",
)
@click.option("--list", "only_list", is_flag=True, help="List the checks, and try none.")
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
    """Test that the component NAME keeps every promise of its interface.

    NAME is a component's id or name; or a namespace or a distribution, for all of its components.
    Each is tried with the options that its registration declares as examples.  Fails with exit
    code 4 if a promise is broken.

    \b
    Examples:
      dddm plugin test charbonnier
      dddm plugin test dddm:l1 --check metric.symmetric
      dddm plugin test dddm:folder --option path="photographs"
      dddm plugin test dddm-charbonnier --json
      dddm plugin test charbonnier --list
    """  # noqa: D301 - click reads the backspace as "do not rewrap"
    from dddm.testing.run import examine
    from dddm.testing.subject import find_components

    catalogue = catalogue_of(ctx)
    components = find_components(catalogue, name)
    if only_list:
        _list(components, as_json=as_json)
        return
    examples = [_example(ctx, components, options)] if options else None
    report = examine(name, examples=examples, checks=checks or None, catalogue=catalogue)
    if as_json:
        facts = [result.facts for result in report.results]
        show_json({"ok": report.ok, "summary": report.summary, "results": facts})
    else:
        _show(report)
    if not report.ok:
        raise _broken(report)


def _list(components: "tuple[Component, ...]", *, as_json: bool) -> None:
    from dddm.testing.every_check import checks_of

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
    from dddm.recipe.read import read_use

    if len(components) > 1:
        names = ", ".join(component.id for component in components)
        raise UsageError(
            f"options are of one component, and there are {len(components)}",
            where="--option",
            remedy=f"name one of {names}",
        )
    (component,) = components
    use = read_use(component.kind, component.id, options=options, catalogue=catalogue_of(ctx))
    said = {option.partition("=")[0].partition(".")[0] for option in options}
    return {name: value for name, value in plain(use.options).items() if name in said}


_SIGNS = {"passed": "✓", "left out": "·", "failed as expected": "✓"}


def _show(report: "Report") -> None:
    shown = None
    seen: dict[str, str] = {}
    for result in report.results:
        if shown != (result.component, result.example):
            shown = (result.component, result.example)
            click.secho(f"{result.component}", bold=True, nl=False)
            click.echo(f"  {result.kind}, with {result.example}")
        _show_result(result, first=seen.setdefault(result.detail, result.name))
    click.echo(f"\n{report.summary}")


def _show_result(result: "Result", *, first: str) -> None:
    """In a line; `first` is the check of which the same was seen first."""
    good = result.outcome.ok
    sign = _SIGNS.get(result.outcome.value, "✗")
    detail = result.detail if good or first == result.name else f"as {first}"
    said = "" if result.outcome.value == "passed" else f"  {result.outcome.value}: {detail}"
    click.echo(click.style(f"  {sign} ", fg="green" if good else "red"), nl=False)
    click.echo(f"{result.name}{said}")


def _broken(report: "Report") -> Exception:
    from dddm.errors import PluginError

    count = len(report.broken)
    promises = "a promise is broken" if count == 1 else f"{count} promises are broken"
    return PluginError("\n".join([promises, *report.told]))
