"""Charts as SVG that stands inside a page: its ids are its own, its colours are the page's.

Matplotlib writes colours and fonts into each element.  Here each colour that a chart may use is a
token, which becomes a CSS variable of the page, so that a chart follows a light or dark scheme as
the text around it does.
"""

import io
import re
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

TEXT: Final = "#010101"
FAINT: Final = "#010102"
LINES: Final = ("#010103", "#010104", "#010105", "#010106", "#010107")

_VARIABLES: Final = {
    TEXT: "var(--text)",
    FAINT: "var(--faint)",
    **{line: f"var(--line-{number})" for number, line in enumerate(LINES, start=1)},
}
_SIZE_INCHES: Final = (6.4, 3.5)
_NO_METADATA: Final = {"Creator": None, "Date": None, "Format": None, "Type": None}
_STYLE: Final = {
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.linewidth": 0.8,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.0,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "text.color": TEXT,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
}
