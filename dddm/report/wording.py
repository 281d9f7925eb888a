"""Numbers and durations as readers of a page see them."""

import math
from typing import Final

from dddm.support import quantities

_LONG: Final = 1e7
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """About three digits, without an exponent in the range of scores and losses.

    Only what differs from 0 by rounding alone is shown as 0.
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else f"{'−' if value < 0 else ''}∞"
    if 1e-9 < abs(value) < 0.1 or abs(value) >= _LONG:  # noqa: PLR2004 - rounding of float64 sums
        return power(f"{value:.3g}")
    decimals = sum(abs(value) < limit for limit in (100, 10, 1))
    return f"{round(value, decimals) or 0.0:,.{decimals}f}"


def spread(value: float) -> str:
    """A standard deviation with two digits: it is not known any better."""
    return power(f"{value:#.2g}".rstrip(".")) if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - as `number`


def tick_label(value: float) -> str:
    """A round number on an axis."""
    if value and not 1e-4 <= abs(value) < 1e7:  # noqa: PLR2004 - longer than an axis has room for
        return power(f"{value:.3g}")
    return f"{round(value, 10):,.10f}".rstrip("0").rstrip(".")


def power(text: str) -> str:
    """`1.13e-07` as `1.13 × 10⁻⁷`, `1e-06` as `10⁻⁶`; other numbers as they are."""
    factor, e, exponent = text.partition("e")
    if not e:
        return text
    raised = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return raised if factor == "1" else f"{factor} × {raised}"


def duration(seconds: float) -> str:
    """`0.4 s`, `45 s`, `2 min 05 s` or `1 h 02 min`."""
    # Below ten seconds the tenths matter: sampling often takes no longer.
    return f"{seconds:.1f} s" if seconds < 10 else quantities.duration(seconds)  # noqa: PLR2004
