"""`[[paper]]`: what the paper prints of a recipe, for reports to show beside what was measured.

    [[paper]]
    source = "table 1, DDDM, T = 1000"
    score = "fd"
    sampler = "fixed-time"
    features = "inception"
    images = 50000
    steps = [1, 2, 1000]
    values = [2.90, 2.79, 1.87]

It decides nothing of a run, and is no part of a recipe's fingerprint.  Figures belong to the file
that they stand in, as it stands: one that extends it does not inherit them, nor does an entry of a
sweep, and what `--set` changes in that which is trained is noted beside them.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from dddm.recipe.locate import Path
from dddm.recipe.model import Printed, plain
from dddm.recipe.options import Reading

KEY: Final = "paper"
_DECIDES: Final = frozenset({
    "data", "objective", "schedule", "parametrization", "backbone", "metric", "targets",
    "optimizer", "learning_rate", "train",
})  # fmt: skip
"""Tables that decide which recipe is trained."""


def read_printed(reading: Reading) -> tuple[Printed, ...]:
    """The tables `[[paper]]`, in their order; those that are wrong are left out, with problems."""
    found = []
    for index, table in enumerate(reading.array(KEY)):
        path: Path = (KEY, index)
        printed = reading.options(Printed, table, path=path, title="[[paper]]")
        if printed is not None and _is_whole(reading, printed, path=path):
            found.append(printed)
    return tuple(found)


def _is_whole(reading: Reading, printed: Printed, *, path: Path) -> bool:
    """Whether it says something, and all that its figures need; a problem where it does not."""
    if len(printed.steps) != len(printed.values):
        reading.complain(
            f"values: {len(printed.values)} figures for {len(printed.steps)} step counts",
            path=(*path, "values") if printed.values else path,
            remedy="write one figure for each step count; a score that lacks one has a "
            "[[paper]] of its own",
            at_value=bool(printed.values),
        )
        return False
    if printed.values and (printed.score is None or printed.sampler is None):
        reading.complain(
            "figures without a score and a sampler cannot stand beside anything",
            path=path,
            remedy='write, for instance, score = "fd" and sampler = "fixed-time"',
        )
        return False
    if not printed.values and printed.says is None:
        reading.complain(
            "[[paper]] says nothing",
            path=path,
            remedy="write steps and values, or says",
        )
        return False
    return True


def with_changes(
    printed: tuple[Printed, ...], *, origins: Mapping[str, str]
) -> tuple[Printed, ...]:
    """Figures that name what the command line changed in what is trained.

    Args:
        origins: where each value of the recipe came from, by dotted key.
    """
    changed = [
        origin.removeprefix("--set ")
        for key, origin in origins.items()
        if origin.startswith("--set ") and key.partition(".")[0] in _DECIDES
    ]
    return tuple(
        evolve(one, changed=tuple(dict.fromkeys([*one.changed, *changed]))) for one in printed
    )


def to_tables(printed: tuple[Printed, ...]) -> list[dict[str, Any]]:
    """As a recipe holds them, without what is empty."""
    return [{name: v for name, v in plain(one).items() if v != []} for one in printed]


def in_words(printed: Printed, *, words: Mapping[str, str]) -> str:
    """`table 3: Fréchet distance 2.86 at 1 step (inception, 50,000 images)`, or what is said.

    Args:
        words: what measures are called, by name; others are called by their name.
    """
    if printed.score is None:
        return f"{printed.source}: {printed.says}"
    figures = " / ".join(map(figure, printed.values))
    steps = " / ".join(f"{count:,}" for count in printed.steps)
    counted = "step" if printed.steps == (1,) else "steps"
    measured = [] if printed.features is None else [printed.features]
    if printed.images is not None:
        measured.append(f"{printed.images:,} images")
    how = f" ({', '.join(measured)})" if measured else ""
    told = "" if printed.says is None else f"; {printed.says}"
    called = words.get(printed.score, printed.score)
    return f"{printed.source}: {called} {figures} at {steps} {counted}{how}{told}"


def figure(value: float) -> str:
    """As a paper prints it: two decimals, and more only where there are more."""
    two = f"{value:.2f}"
    return two if float(two) == value else repr(value)
