"""The tables of a recipe: which there are, which component each holds, and defaults.

Default components are part of the recipe format: a plugin cannot change what a recipe means.
"""

from typing import Final

from dddm.interfaces.plugin import Kind

FORMAT: Final = 2

COMPONENT_TABLES: Final = {
    "data": Kind.DATASET,
    "objective": Kind.OBJECTIVE,
    "schedule": Kind.SCHEDULE,
    "parametrization": Kind.PARAMETRIZATION,
    "backbone": Kind.BACKBONE,
    "metric": Kind.METRIC,
    "targets": Kind.TARGET_STORE,
    "optimizer": Kind.OPTIMIZER,
    "learning_rate": Kind.LEARNING_RATE,
}
"""Tables of one component each."""

DEFAULTS: Final = {
    "objective": "dddm:directly-denoising",
    "targets": "dddm:ram",
    "optimizer": "dddm:adam",
    "learning_rate": "dddm:constant",
}
"""Components of tables that may be left out, as may `use` in them."""

OPTIONAL: Final = ("parametrization",)
"""Tables without a default component that may be left out: the schedule has its own."""

DURATIONS: Final = ("epochs", "steps", "images", "training_flops")
"""Keys of `[train]` of which exactly one says how long training takes."""

KEYS: Final = (
    "format", "name", "seed", "requires", "extends", *COMPONENT_TABLES, "train", "sample",
    "evaluate", "observe", "reported", "sweep", "training_seeds",
)  # fmt: skip
"""All keys at the top of a recipe."""

SWEEP_KEYS: Final = ("sweep", "training_seeds")
"""Those that make several recipes of one."""

SEEDS: Final = 2**63
"""Seeds are below this."""

PLACES: Final = {
    **{kind: f"[{table}]" for table, kind in COMPONENT_TABLES.items()},
    Kind.SAMPLER: "[[sample]]",
    Kind.FEATURES: "[evaluate.features]",
    Kind.SCORE: "[[evaluate.scores]]",
    Kind.OBSERVER: "[[observe]]",
}
"""The table in which a recipe uses a component of each kind."""


LONGEST_NAME: Final = 200
"""File systems allow 255 bytes, and a folder that is being written has a longer name."""


def may_name_a_folder(name: str) -> bool:
    """Whether a name is letters, digits, '.', '_' and '-', the first a letter or digit."""
    return (
        len(name) <= LONGEST_NAME
        and name[:1].isalnum()
        and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
    )
