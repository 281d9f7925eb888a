"""All checks, by the kind of component that they are about."""

from collections.abc import Mapping
from typing import Final

from dddm.interfaces.plugin import Kind
from dddm.testing.check import Check, Suite
from dddm.testing.kinds.backbone import BACKBONE
from dddm.testing.kinds.component import COMPONENT
from dddm.testing.kinds.dataset import DATASET
from dddm.testing.kinds.features import FEATURES
from dddm.testing.kinds.learning_rate import LEARNING_RATE
from dddm.testing.kinds.metric import METRIC
from dddm.testing.kinds.objective import OBJECTIVE
from dddm.testing.kinds.observer import OBSERVER
from dddm.testing.kinds.optimizer import OPTIMIZER
from dddm.testing.kinds.options import OPTIONS
from dddm.testing.kinds.parametrization import PARAMETRIZATION
from dddm.testing.kinds.sampler import SAMPLER
from dddm.testing.kinds.schedule import SCHEDULE
from dddm.testing.kinds.score import SCORE
from dddm.testing.kinds.target_store import TARGET_STORE

COMMON: Final = (COMPONENT, OPTIONS)
"""Suites of what every component promises."""

SUITES: Final[Mapping[Kind, Suite]] = {
    Kind.SCHEDULE: SCHEDULE,
    Kind.BACKBONE: BACKBONE,
    Kind.METRIC: METRIC,
    Kind.TARGET_STORE: TARGET_STORE,
    Kind.DATASET: DATASET,
    Kind.SAMPLER: SAMPLER,
    Kind.FEATURES: FEATURES,
    Kind.OBSERVER: OBSERVER,
    Kind.OBJECTIVE: OBJECTIVE,
    Kind.PARAMETRIZATION: PARAMETRIZATION,
    Kind.OPTIMIZER: OPTIMIZER,
    Kind.LEARNING_RATE: LEARNING_RATE,
    Kind.SCORE: SCORE,
}


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """Those of every component, then those of this kind, in the order in which they are tried."""
    return tuple(check for suite in (*COMMON, SUITES[kind]) for check in suite.checks)


def capabilities_of(kind: Kind) -> Mapping[str, str]:
    """What a component of this kind may lack, each with what it means."""
    return {
        name: words
        for suite in (*COMMON, SUITES[kind])
        for name, words in suite.capabilities.items()
    }
