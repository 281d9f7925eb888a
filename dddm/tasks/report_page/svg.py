"""Charts as SVG that stands inside a page: its ids are its own, its colours are the page's.

Matplotlib writes colours and fonts into each element.  Here each colour that a chart may use is a
token, which becomes a CSS variable of the page, so that a chart follows a light or dark scheme as
the text around it does.
"""

import html
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
    "text.parse_math": False,  # names are names, whatever signs stand in them
    "figure.facecolor": "none",
    "axes.facecolor": "none",
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


def new_axes(*, x: str, y: str) -> Axes:
    """Empty axes of a chart, with what stands at its sides."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(visible=True, which="major")
        axes.set_axisbelow(True)
    return axes


def log_axis(axes: Axes, *, which: str) -> None:
    """Make axis `x` or `y` logarithmic, with numbers written as a person writes them."""
    if which == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    # Over a short range the powers of ten alone would leave the axis almost without numbers.
    between = (1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)  # noqa: PLR2004 - three decades
    axis.set_major_locator(LogLocator(subs=between))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def to_svg(axes: Axes, *, name: str, label: str) -> str:
    """The chart as an `<svg>` element.

    Args:
        name: unique on the page; heads every id in the chart.
        label: what the chart shows, for those who do not see it.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        msg = "these axes stand in no figure"
        raise ValueError(msg)
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata=_NO_METADATA)
    return _inline(buffer.getvalue(), name=name, label=label)


def _inline(svg: str, *, name: str, label: str) -> str:
    """What stands in a page: no document's head, own ids, the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # It would style the whole page; the page's own style sheet says the same of charts alone.
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for token, variable in _VARIABLES.items():
        svg = svg.replace(token, variable)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--font)", svg)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1).strip()
