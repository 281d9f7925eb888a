"""Sizes, durations and counts as text."""

from typing import Final

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E")


def size(size_bytes: int) -> str:
    """`614.4 MB`, in powers of 1000."""
    return _scaled(size_bytes, "B", decimals=1)


def flops(count: float) -> str:
    """`17.61 GFLOP`."""
    return _scaled(count, "FLOP", decimals=2)


def _scaled(value: float, unit: str, *, decimals: int) -> str:
    power = 0
    while value >= 1000 and power < len(_PREFIXES) - 1:  # noqa: PLR2004 - a prefix per thousand
        value /= 1000
        power += 1
    return f"{value:.{decimals if power else 0}f} {_PREFIXES[power]}{unit}"


def duration(seconds: float) -> str:
    """`45 s`, `2 min 05 s`, `1 h 02 min` or `3 d 04 h`: two units are enough."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02d} h"


def counted_steps(steps: int, evaluations: int) -> str:
    """`5 steps (9 evaluations)`; `5 steps` where a step is one network evaluation."""
    return counted(steps, "step") + evaluations_note(steps, evaluations)


def evaluations_note(steps: int, evaluations: int) -> str:
    """What stands behind a number of steps: ` (9 evaluations)`, or nothing where they are equal."""
    return "" if evaluations == steps else f" ({counted(evaluations, 'evaluation')})"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 step`, `1,500 images`, `2 processes`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
