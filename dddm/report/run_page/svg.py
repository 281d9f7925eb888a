"""A matplotlib figure as SVG that stands within a page: its own names, the page's colours.

Matplotlib writes a document of its own: with a prologue, metadata, a style for everything, and
names that are the same in every chart.  Within a page these would clash or reach outside, so they
are taken out, and each name is prefixed by the chart's.  Colours of the figure are stand-ins for
the page's own, so that a chart is right on a light and on a dark page.
"""

import html
import io
import re
from typing import Final

from matplotlib.figure import Figure

INK: Final = "#010101"
LINE: Final = "#020202"
FLOOR: Final = "#030303"
SERIES: Final = ("#040404", "#050505", "#060606", "#070707")
"""Stand-ins, which `chart_svg` replaces by the page's variables; series are taken in turn."""

_VARIABLES: Final = {
    INK: "var(--ink-soft)",
    LINE: "var(--line)",
    FLOOR: "var(--floor)",
    **{colour: f"var(--series-{k})" for k, colour in enumerate(SERIES, start=1)},
}
SETTINGS: Final = {
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": INK,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}
"""Matplotlib's settings for a chart of the report."""


def chart_svg(figure: Figure, *, name: str, description: str) -> str:
    """The figure as an `<svg>` element.

    Args:
        name: of the chart, different from all others of the page; a letter, then letters,
            digits and hyphens.
        description: what a person who cannot see the chart is told.
    """
    buffer = io.StringIO()
    figure.savefig(
        buffer,
        format="svg",
        metadata={"Creator": None, "Date": None, "Format": None, "Type": None},
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL
    )
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    opening, rest = text.split(">", 1)
    opening = re.sub(r' (?:width|height)="[^"]*"', "", opening)
    told = html.escape(description, quote=True)
    return f'{opening} class="chart" role="img" aria-label="{told}">{rest}'
