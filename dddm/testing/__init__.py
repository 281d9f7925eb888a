"""The conformance kit: what the interfaces promise, tried on any component.

In the tests of a plugin, one test for each promise and each example of options:

    from dddm.testing import conformance

    @conformance("charbonnier:charbonnier")
    def test_it_keeps_its_promises(check):
        check()

As a function, which needs no pytest, and on the command line:

    report = dddm.testing.examine("charbonnier:charbonnier")
    assert report.ok, report

    dddm plugin test charbonnier

What the kit should know of a component stands in its registration: `conformance=Conformance(...)`
of `dddm.interfaces.plugin`.  Every check and capability is listed in docs/testing.md.
"""

from dddm.testing.check import Check, ConformanceFailure
from dddm.testing.every_check import checks_of
from dddm.testing.parametrise import conformance
from dddm.testing.plain_paths import plain_paths
from dddm.testing.report import Report, Result
from dddm.testing.run import examine

__all__ = [
    "Check", "ConformanceFailure", "Report", "Result", "checks_of", "conformance", "examine",
    "plain_paths",
]  # fmt: skip
