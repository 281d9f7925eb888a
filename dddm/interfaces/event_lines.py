"""Events as lines of JSON: `{"event": "step-done", ...}`, for logs, observers and trackers."""

import json
import re
from collections.abc import Mapping

import attrs

from dddm.interfaces.observer import Event


def event_name(event: Event) -> str:
    """`StepDone` → `step-done`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


def to_line(event: Event) -> str:
    """One line of JSON, without the line's end; paths become strings.

    What an objective without memory does not have is left out.
    """
    fields = attrs.asdict(event)
    for name in [name for name, value in fields.items() if _is_absent(name, value)]:
        del fields[name]
    return json.dumps({"event": event_name(event), **fields}, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _is_absent(name: str, value: object) -> bool:
    return (name.startswith("store_") and value is None) or (name == "numbers" and not value)
