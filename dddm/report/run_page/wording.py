"""Numbers and quantities as the report's reader sees them."""

import math
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_TENTH: Final = 0.1
_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """About three digits, without exponents in the range that scores and losses live in.

    What is 0 but for rounding is shown as 0; so is no other number.
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else f"{'−' if value < 0 else ''}∞"
    if 0 < abs(value) < _TENTH and abs(value) > 1e-9:  # noqa: PLR2004 - rounding of float64 sums
        return power(f"{value:.3g}")
    decimals = sum(abs(value) < limit for limit in (100, 10, 1))
    return f"{round(value, decimals) or 0.0:,.{decimals}f}"


def spread(value: float) -> str:
    """A deviation: two figures, because it is not known any better."""
    return power(f"{value:#.2g}".rstrip(".")) if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - as `number`


def power(text: str) -> str:
    """`1.13e-07` as `1.13 × 10⁻⁷`, `1e-06` as `10⁻⁶`; other numbers as they are."""
    factor, e, exponent = text.partition("e")
    if not e:
        return text
    raised = f"10{str(int(exponent)).translate(_RAISED)}"
    return raised if factor == "1" else f"{factor} × {raised}"


def counted(count: int, noun: str) -> str:
    """`1 step`, `1,500 images`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """`0.4 s`, `45 s`, `2 min 05 s` or `1 h 02 min`."""
    whole = round(seconds)
    if seconds < 10:  # noqa: PLR2004 - below ten seconds the tenths are seen
        return f"{seconds:.1f} s"
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
