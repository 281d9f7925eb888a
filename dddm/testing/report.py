"""What came of the checks.  Imports no torch."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import Enum
from typing import Any, final

import attrs


@final
class Outcome(Enum):
    """What came of one check; the value is the word that is shown."""

    PASSED = "passed"
    FAILED = "failed"
    LEFT_OUT = "left out"
    EXPECTED = "failed as expected"
    UNEXPECTED = "passed unexpectedly"

    @property
    def ok(self) -> bool:
        """Whether all is as it should be."""
        return self not in {Outcome.FAILED, Outcome.UNEXPECTED}


@final
@attrs.frozen(kw_only=True)
class Result:
    """What came of one check with one example.

    Attributes:
        component: its id.
        kind: of the component.
        name: of the check.
        promise: in one sentence.
        example: the options, in a few words.
        outcome: what came of it.
        detail: what was seen, or the reason why it was left out or expected; empty if it passed.
        remedy: what to do about a failure, where what was seen does not say it.
        error: that a failing check raised, with its traceback.
    """

    component: str
    kind: str
    name: str
    promise: str
    example: str
    outcome: Outcome
    detail: str = ""
    remedy: str | None = None
    error: Exception | None = attrs.field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        lines = [f"{self.component} with {self.example}: {self.name} {self.outcome.value}"]
        lines.append(f"  promised: {self.promise}")
        if self.detail:
            lines.append(f"  seen: {self.detail}")
        if self.remedy is not None:
            lines.append(f"  try: {self.remedy}")
        return "\n".join(lines)

    @property
    def facts(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        facts = attrs.asdict(self, filter=lambda field, _: field.name != "error")
        return {**facts, "outcome": self.outcome.value}


@final
@attrs.frozen(kw_only=True)
class Report:
    """What came of all checks."""

    results: Sequence[Result]

    @property
    def ok(self) -> bool:
        """Whether every promise was kept, or is known not to be."""
        return all(result.outcome.ok for result in self.results)

    @property
    def broken(self) -> tuple[Result, ...]:
        """Those that are not as they should be."""
        return tuple(result for result in self.results if not result.outcome.ok)

    @property
    def told(self) -> tuple[str, ...]:
        """The broken ones in words; those of which the same was seen at once."""
        alike: defaultdict[tuple[str, ...], list[Result]] = defaultdict(list)
        for result in self.broken:
            key = (result.component, result.kind, result.outcome.value, result.detail)
            alike[key].append(result)
        return tuple(_together(results) for results in alike.values())

    @property
    def summary(self) -> str:
        """`31 passed, 2 left out`."""
        counts = Counter(result.outcome for result in self.results)
        return ", ".join(f"{counts[o]} {o.value}" for o in Outcome if counts[o]) or "no checks"

    def __str__(self) -> str:
        return "\n".join([*self.told, self.summary])


def _together(results: Sequence[Result]) -> str:
    """Results of one component that differ in check and example alone."""
    first, *others = results
    if not others:
        return str(first)
    examples = "; ".join(dict.fromkeys(result.example for result in results))
    lines = [
        f"{first.component} with {examples}: {len(results)} checks {first.outcome.value}",
        f"  checks: {', '.join(dict.fromkeys(result.name for result in results))}",
        f"  seen: {first.detail}",
    ]
    remedies = dict.fromkeys(result.remedy for result in results if result.remedy is not None)
    lines += [f"  try: {remedy}" for remedy in list(remedies)[:1]]
    return "\n".join(lines)
