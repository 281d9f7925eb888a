"""The test that `dddm plugin test` runs; see `dddm.testing.conformance.run_trials`."""

from collections.abc import Callable


def test_promise(check: Callable[[], None]) -> None:
    """Given every check in turn."""
    check()
