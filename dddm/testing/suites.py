"""All checks, by the kind of component that they are about."""

from collections.abc import Mapping
from typing import Final

from dddm.interfaces.plugin import Kind
from dddm.testing.check import Check, Suite
from dddm.testing.checks.backbone import BACKBONE
from dddm.testing.checks.component import COMPONENT
from dddm.testing.checks.dataset import DATASET
from dddm.testing.checks.features import FEATURES
from dddm.testing.checks.learning_rate import LEARNING_RATE
from dddm.testing.checks.metric import METRIC
from dddm.testing.checks.objective import OBJECTIVE
from dddm.testing.checks.observer import OBSERVER
from dddm.testing.checks.optimizer import OPTIMIZER
from dddm.testing.checks.options import OPTIONS
from dddm.testing.checks.parametrization import PARAMETRIZATION
from dddm.testing.checks.sampler import SAMPLER
from dddm.testing.checks.schedule import SCHEDULE
from dddm.testing.checks.score import SCORE
from dddm.testing.checks.target_store import TARGET_STORE

COMMON: Final = (COMPONENT, OPTIONS)
"""What every component promises."""

SUITES: Final[Mapping[Kind, Suite]] = {
    Kind(suite.prefix): suite
    for suite in (
        SCHEDULE, BACKBONE, METRIC, TARGET_STORE, DATASET, SAMPLER, FEATURES, OBSERVER, OBJECTIVE,
        PARAMETRIZATION, OPTIMIZER, LEARNING_RATE, SCORE,
    )
}  # fmt: skip


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """Those of every component, then those of this kind, in the order in which they run."""
    return tuple(check for suite in (*COMMON, SUITES[kind]) for check in suite.checks)


def capabilities_of(kind: Kind) -> Mapping[str, str]:
    """What a component of this kind may lack, each with what it means."""
    return {
        name: meaning
        for suite in (*COMMON, SUITES[kind])
        for name, meaning in suite.capabilities.items()
    }
