"""What a recipe resolves to: plain tables with all defaults, their fingerprint and origins."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from dddm.recipe.locate import Path
from dddm.recipe.merge import Merged
from dddm.recipe.model import (
    ComponentConfig,
    Evaluation,
    SampleSettings,
    TrainSettings,
    config_table,
    plain,
)

_NAMES: Final = (("evaluate", "features"), ("evaluate", "scores"))
"""Where a component may stand as a name alone."""


def resolve(
    *,
    name: str,
    seed: int,
    requires: Sequence[str],
    uses: Mapping[str, ComponentConfig],
    train: TrainSettings,
    sample: Sequence[tuple[ComponentConfig, SampleSettings]],
    evaluate: Evaluation | None,
    observe: Sequence[ComponentConfig] | None,
) -> dict[str, Any]:
    """Plain tables that read back to the same recipe."""
    tables: dict[str, Any] = {"format": 2, "name": name, "seed": seed}
    if requires:
        tables["requires"] = list(requires)
    tables |= {table: config_table(use) for table, use in uses.items()}
    tables["train"] = plain(train)
    if sample:
        tables["sample"] = [
            {**config_table(sampler), **plain(settings)} for sampler, settings in sample
        ]
    if evaluate is not None:
        features = [config_table(use) for use in evaluate.features]
        tables["evaluate"] = {
            "scores": [config_table(use) for use in evaluate.scores],
            "features": features if len(features) > 1 else features[0],
        }
        if evaluate.protocol is not None:
            tables["evaluate"]["protocol"] = plain(evaluate.protocol)
    if observe is not None:
        tables["observe"] = [config_table(use) for use in observe]
    return tables


def fingerprint_of(tables: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of tables in one canonical form."""
    canonical = json.dumps(tables, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def origins_of(tables: Mapping[str, Any], merged: Merged) -> dict[str, str]:
    """Where each value came from, by its dotted key: `default`, `digits.toml:12` or `--set …`."""
    origins = {}
    for path in _leaves(tables, (), merged):
        written = path
        # A name alone is short for a table with `use`.
        if path[:2] in _NAMES and path[-1] == "use" and not _is_written(merged, path):
            written = path[:-1]
        found = merged.origin(written) if _is_written(merged, written) else None
        origins[".".join(map(str, path))] = "default" if found is None else found.short
    return origins


def _leaves(value: Any, path: Path, merged: Merged) -> Iterator[Path]:
    """Paths of all values that are neither tables nor arrays of tables.

    An array that is nowhere written is one value: `--set` cannot change an item of it.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key), merged)
    elif (
        isinstance(value, list)
        and value
        and all(isinstance(item, dict) for item in value)
        and _is_written(merged, path)
    ):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index), merged)
    else:
        yield path


def _is_written(merged: Merged, path: Path) -> bool:
    at: Any = merged.tables
    for key in path:
        try:
            at = at[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
