"""A report in words: what is broken, and one cause once."""

from dddm.testing.report import Outcome, Report, Result


def broken(name: str, detail: str, *, example: str = "defaults") -> Result:
    """A result that is not as it should be."""
    return Result(
        component="toy:near",
        kind="metric",
        name=name,
        promise="It is kept.",
        example=example,
        outcome=Outcome.FAILED,
        detail=detail,
        remedy="mend it",
    )


def test_what_was_seen_often_is_told_once() -> None:
    """With the names of all checks and all examples, and one remedy; another cause by itself."""
    report = Report(
        results=[
            broken("metric.far-out", "TypeError"),
            broken("metric.gradient", "TypeError"),
            broken("metric.symmetric", "off by 3"),
            broken("metric.far-out", "TypeError", example="c=0.5"),
        ]
    )
    assert str(report) == (
        "toy:near with defaults; c=0.5: 3 checks failed\n"
        "  checks: metric.far-out, metric.gradient\n"
        "  seen: TypeError\n"
        "  try: mend it\n"
        "toy:near with defaults: metric.symmetric failed\n"
        "  promised: It is kept.\n"
        "  seen: off by 3\n"
        "  try: mend it\n"
        "4 failed"
    )
