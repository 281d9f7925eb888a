"""Writes docs/testing.md: how to run the conformance kit, and every check by its promise.

python docs/testing.py
"""

from collections.abc import Iterator
from pathlib import Path

from dddm.testing.check import Suite
from dddm.testing.every_check import COMMON, SUITES

PAGE = Path(__file__).with_suffix(".md")
HEAD = """\
# Testing a plugin

What an interface in `dddm/interfaces/` promises, the conformance kit tries: on your component, with
your options, on small made-up images, in seconds on one core. The built-ins pass the same kit, and
each check is proved by at least one planted mistake that it catches.

```sh
pip install 'dddm[testing]'
dddm plugin test charbonnier                    # a component, a namespace or a distribution
dddm plugin test charbonnier --check metric.symmetric
dddm plugin test charbonnier --option eps=0.1   # other options than the declared examples
dddm plugin test charbonnier --list             # the checks, none tried
```

A broken promise is exit code 4, with what was promised, what was seen, the line of
the component that led to it, and what to change. What stands on a broken promise is left out: where
a component cannot be built or called, or its results have another shape, that alone is told. In the
tests of a plugin it is one test for each check and example:

```python
from dddm.testing import conformance


@conformance("charbonnier:charbonnier")
def test_it_keeps_its_promises(check):
    check()
```

`dddm.testing.examine("charbonnier:charbonnier")` gives a report without pytest: `report.ok`,
`report.results`, and `str(report)` with what is broken. Both take several names, `kind="metric"`
where a name is ambiguous, `checks=[...]`, and `examples=[{...}]`: options instead of the declared
ones, such as paths of files that are on this machine alone.

## What a registration says

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

`examples` are options that the component is tried with, each a table as a recipe writes it; without
any, all defaults. `lacks` names capabilities that it does not have, each with the reason: checks of
these are left out. `expected_failures` names checks that it is known to fail with every example,
each with the reason: passing one is an error. `shapes` are those of the images that it is tried
with, 1×8×8 and 3×8×16 unless said otherwise, and `classes` how many classes these have, 3. Of a
target store, `relative_error` says by how much a number may be off, as a share of its image's
largest; or it is a function of the options that says so.

Something is left out, and says so, where it cannot be tried here: a check of GPUs without one, and
whatever needs weights, files or packages that are declared and absent. With `examples=` or
`--option`, files that are named must be there. Of a large data set a part is looked at: 64 images
of each split one by one, and every image up to 10,000.

This page is written by `python docs/testing.py`.
"""


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
