"""`dddm plugin test`."""

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
    """Options from the command line, as in a recipe's table."""
    from dddm.errors import UsageError
    from dddm.recipe.model import plain
    from dddm.recipe.read import read_use

    if len(components) > 1:
        names = ", ".join(component.id for component in components)
        raise UsageError(
            f"--option applies to one component, and {len(components)} are tested",
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
