"""Writes docs/testing.md: how to run the conformance kit, and every check by its promise.

python docs/testing.py
"""

from collections.abc import Iterator
from pathlib import Path

from dddm.testing.check import Suite
from dddm.testing.suites import COMMON, SUITES

PAGE = Path(__file__).with_suffix(".md")
HEAD = """\
# Testing a plugin

The conformance kit checks that a component does what its interface in `dddm/interfaces/` promises:
with your options, on small made-up images, in seconds on one core. The built-ins pass the same
checks, and for each check there is a test with a mistake that it must find.

```sh
pip install 'dddm[testing]'
dddm plugin test charbonnier                    # a component, a namespace or a distribution
dddm plugin test charbonnier --check metric.symmetric
dddm plugin test charbonnier --option eps=0.1   # instead of the declared examples
dddm plugin test charbonnier --list             # list the checks without running them
```

The exit code is 4 if a check fails. The message says what the interface promises, what was seen,
and on which line of your package an error was raised. Where a component cannot be built or called,
or its results have the wrong shape, the checks that would fail for the same reason are skipped.

In the tests of a plugin, each check of each example is one test of pytest:

```python
from dddm.testing import conformance


@conformance("charbonnier:charbonnier")
def test_conformance(check):
    check()
```

`conformance` takes several names, `kind="metric"` where a name is ambiguous, `checks=[...]`, and
`examples=[{...}]`: options instead of the declared ones, such as paths of files on this machine.

## What a registration declares

```python
registrar.add(
    Kind.METRIC,
    "charbonnier",
    ...,
    conformance=Conformance(
        examples=({}, {"eps": 1e-2}),
        lacks={"symmetric": "it weighs what is too bright twice"},
    ),
)
```

| Field of `Conformance` | Meaning | Default |
| --- | --- | --- |
| `examples` | options to test with, each a table as a recipe writes it | all defaults |
| `lacks` | capabilities that it does not have, each with the reason; their checks are skipped | none |
| `expected_failures` | checks that fail with every example, each with the reason; passing one is a failure (`xfail(strict=True)`) | none |
| `shapes` | shapes of the images to test with | 1×8×8 and 3×8×16 |
| `classes` | how many classes these images have | 3 |
| `relative_error` | of a target store: how far a value may be off, as a share of its image's largest; or a function of the options | 0 |

A check is also skipped, with the reason, where it cannot run: without a GPU, or without the weights,
files or packages that a registration declares. Files named by `examples=` or `--option` must be
there. Of a large data set, 64 images of each split are compared one by one.

This page is written by `python docs/testing.py`.
"""  # noqa: E501 - a table of Markdown


def page() -> str:
    """The page as it must be."""
    sections = [
        _section("Every component: registration and class", COMMON[0]),
        _section("Every component: options", COMMON[1]),
        *(_section(kind.value.capitalize(), suite) for kind, suite in SUITES.items()),
    ]
    return HEAD + "".join(sections)


def _section(title: str, suite: Suite) -> str:
    return "\n".join([f"\n## {title}\n", *_capabilities(suite), *_checks(suite)]) + "\n"


def _capabilities(suite: Suite) -> Iterator[str]:
    if suite.capabilities:
        yield "| Capability | What it means |\n| --- | --- |"
        for name, words in suite.capabilities.items():
            yield f"| `{name}` | {_cell(words)} |"
        yield ""


def _checks(suite: Suite) -> Iterator[str]:
    yield "| Check | Promise |\n| --- | --- |"
    for check in suite.checks:
        needs = "" if check.capability is None else f" (`{check.capability}`)"
        yield f"| `{check.name}`{needs} | {_cell(check.promise)} |"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
