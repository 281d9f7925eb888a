"""One planted mistake, and a catalogue in which it is registered."""

from collections.abc import Iterable, Mapping
from typing import Any, final

import pytest
from attrs import field, frozen

from dddm.interfaces.plugin import Kind
from dddm.registry.catalogue import Catalogue
from dddm.registry.registrar import PluginRegistrar
from dddm.testing.conformance import Trial, trials_of


def outcome_of(trial: Trial) -> str:
    """`passed`, `skipped: …` or `failed: …`."""
    try:
        trial()
    except pytest.skip.Exception as reason:
        return f"skipped: {reason}"
    except Exception as error:  # noqa: BLE001 - a component may raise anything
        return f"failed: {error!r}"
    return "passed"


@final
@frozen(kw_only=True)
class Bug:
    """A toy with a mistake.

    Attributes:
        target: its class, or a function that makes it.
        caught_by: names of all checks that fail.
        registration: what `Registrar.add` is told beside name, target and summary.
    """

    kind: Kind
    target: Any
    caught_by: frozenset[str] = frozenset()
    registration: Mapping[str, Any] = field(factory=dict)

    @property
    def name(self) -> str:
        """From `MeanOverBatch`: mean-over-batch."""
        words = self.target.__name__.replace("_", "-")
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in words).strip("-")

    def outcomes(self, checks: Iterable[str] | None = None) -> dict[str, str]:
        """What came of each check, or of these."""
        toys = PluginRegistrar(plugin="toy", package="toys-without-entry-point", version="1")
        target = f"{self.target.__module__}:{self.target.__name__}"
        more = {"summary": "A toy for the conformance kit.", **self.registration}
        toys.add(self.kind, self.name, target=target, **more)
        trials = trials_of(f"toy:{self.name}", checks=checks, catalogue=Catalogue(toys.components))
        found: dict[str, str] = {}
        for trial in trials:
            outcome = outcome_of(trial)
            if not found.get(trial.check.name, "").startswith("failed"):
                found[trial.check.name] = outcome
        return found


def bug(kind: Kind, target: Any, *caught_by: str, **registration: Any) -> Bug:
    """A toy with a mistake, in few words."""
    return Bug(kind=kind, target=target, caught_by=frozenset(caught_by), registration=registration)
