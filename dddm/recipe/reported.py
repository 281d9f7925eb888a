"""`[[reported]]`: published results of a recipe, which reports show beside the measured scores.

    [[reported]]
    source = "table 1, DDDM, T = 1000"
    score = "fd"
    sampler = "fixed-time"
    features = "inception"
    images = 50000
    steps = [1, 2, 1000]
    values = [2.90, 2.79, 1.87]

A result without `sampler` is of a method that dddm does not train: it is quoted, its steps are
network evaluations, and it stands beside no score.

They do not affect the run and are not part of the fingerprint.  They belong to the file in which
they stand: a recipe that extends it does not inherit them, nor does an entry of a sweep.  What
`--set` changes in training is recorded with them, so that the report can say why they differ.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from dddm.recipe.model import ReportedResult, plain
from dddm.recipe.reader import Reader

KEY: Final = "reported"
_TRAINING_TABLES: Final = frozenset({
    "data", "objective", "schedule", "parametrization", "backbone", "metric", "targets",
    "optimizer", "learning_rate", "train",
})  # fmt: skip


def read_reported(reader: Reader) -> tuple[ReportedResult, ...]:
    """The valid `[[reported]]` tables in their order; `reader` collects what is wrong."""
    found = []
    for index, table in enumerate(reader.array(KEY)):
        result = reader.options(ReportedResult, table, path=(KEY, index), title="[[reported]]")
        if result is not None and _is_complete(reader, result, index=index):
            found.append(result)
    return tuple(found)


def _is_complete(reader: Reader, result: ReportedResult, *, index: int) -> bool:
    if len(result.steps) != len(result.values):
        reader.add_problem(
            f"{len(result.values)} values for {len(result.steps)} step counts",
            path=(KEY, index, "values") if result.values else (KEY, index),
            remedy="write one value for each step count; give a score with fewer values a "
            "[[reported]] table of its own",
            at_value=bool(result.values),
        )
        return False
    if result.values and result.score is None:
        reader.add_problem(
            "[[reported]] has values, but no score",
            path=(KEY, index),
            remedy='add, for example, score = "fd"',
        )
        return False
    if not result.values and result.says is None:
        reader.add_problem(
            "[[reported]] is empty", path=(KEY, index), remedy="add steps and values, or says"
        )
        return False
    return True


def with_changes(
    results: tuple[ReportedResult, ...], *, origins: Mapping[str, str]
) -> tuple[ReportedResult, ...]:
    """Results with what the command line changed in training.

    Args:
        origins: where each value of the recipe came from, by dotted key.
    """
    changed = [
        origin.removeprefix("--set ")
        for key, origin in origins.items()
        if origin.startswith("--set ") and key.partition(".")[0] in _TRAINING_TABLES
    ]
    return tuple(
        evolve(one, changed=tuple(dict.fromkeys([*one.changed, *changed]))) for one in results
    )


def to_tables(results: tuple[ReportedResult, ...]) -> list[dict[str, Any]]:
    """The results as a recipe file writes them, without empty options."""
    return [{name: v for name, v in plain(one).items() if v != []} for one in results]


def in_words(result: ReportedResult, *, words: Mapping[str, str]) -> str:
    """A sentence: `table 3: Fréchet distance 2.86 at 1 step (inception, 50,000 images)`.

    Args:
        words: names of measures for people, by name; others are shown as they are.
    """
    if result.score is None:
        return f"{result.source}: {result.says}"
    values = " / ".join(map(format_value, result.values))
    steps = " / ".join(f"{count:,}" for count in result.steps)
    unit = "evaluation" if result.sampler is None else "step"
    unit += "" if result.steps == (1,) else "s"
    conditions = [] if result.features is None else [result.features]
    if result.images is not None:
        conditions.append(f"{result.images:,} images")
    measured = f" ({', '.join(conditions)})" if conditions else ""
    note = "" if result.says is None else f"; {result.says}"
    name = words.get(result.score, result.score)
    return f"{result.source}: {name} {values} at {steps} {unit}{measured}{note}"


def format_value(value: float) -> str:
    """As papers print it: two decimals, and more only where there are more."""
    two = f"{value:.2f}"
    return two if float(two) == value else repr(value)
