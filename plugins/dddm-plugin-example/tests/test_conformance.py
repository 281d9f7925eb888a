"""What dddm's interfaces promise of a backbone and a metric, tried by its own kit."""

from collections.abc import Callable

from dddm.testing import conformance


@conformance("example:dit")
def test_the_transformer_keeps_its_promises(check: Callable[[], None]) -> None:
    """Every promise of `dddm.interfaces.backbone`."""
    check()


@conformance("example:robust")
def test_the_loss_keeps_its_promises(check: Callable[[], None]) -> None:
    """Every promise of `dddm.interfaces.metric`."""
    check()
