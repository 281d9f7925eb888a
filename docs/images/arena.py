"""Makes the chart and the samples of an arena, for the README and the page on objectives.

python docs/images/arena.py arena_digits runs/arena-digits

writes arena_digits.svg, the score of each entry by network evaluations, and arena_digits.png, the
first samples of each, the best entry in one evaluation first.
"""

import sys
from pathlib import Path

from markupsafe import escape
from panels import sheet

from dddm.recipe.sweep import Sweep, read_recipe_or_sweep
from dddm.registry.loader import load_catalogue
from dddm.report import charts
from dddm.report.side_by_side import evaluation_charts, strips
from dddm.report.sweep_results import gather_sweep

HERE = Path(__file__).parent
STYLE = Path(charts.__file__).with_name("style.css")
LEGEND_WIDTH, LINE = 300, 19
MOST_IN_A_COLUMN = 8


def with_legend(chart: charts.Chart) -> str:
    """The chart as a picture of its own: style, white paper, and its legend on the right."""
    colours = STYLE.read_text(encoding="utf-8").split("@media")[0]  # those of a light page
    rules = [line for line in STYLE.read_text(encoding="utf-8").splitlines() if line[:1] == "."]
    opening, _, rest = str(chart.svg).partition("\n")
    width, height = map(float, opening.split('viewBox="0 0 ')[1].split('"')[0].split())
    names: list[tuple[str, int | None]] = [(name, k) for k, name in enumerate(chart.names)]
    names += [(name, None) for name in chart.floor.split("; ")]
    height = max(height, 40 + LINE * len(names))
    legend = []
    for row, (name, k) in enumerate(names):
        y = 30 + LINE * row
        colour = "floor" if k is None else f"series-{k % charts.COLOURS + 1}"
        dotted = " dotted" if k is not None and k >= charts.COLOURS else ""
        kind = "" if k is None else "line "
        legend.append(f'<path class="{kind}{colour}{dotted}" d="M{width + 8:.0f} {y}h22"/>')
        legend.append(f'<text x="{width + 36:.0f}" y="{y + 4}">{escape(name)}</text>')
    whole = f"0 0 {width + LEGEND_WIDTH:.0f} {height:.0f}"
    opening = opening.split(" viewBox")[0]
    return "\n".join(
        [
            f'{opening} viewBox="{whole}" font-family="sans-serif">',
            f"<style>{colours}{' '.join(rules)}</style>",
            '<rect width="100%" height="100%" fill="white"/>',
            rest.removesuffix("</svg>").rstrip(),
            *legend,
            "</svg>\n",
        ]
    )


def main(name: str, folder: Path) -> None:
    read = read_recipe_or_sweep(name, catalogue=load_catalogue())
    assert isinstance(read, Sweep)
    table = gather_sweep(read, folder=folder)
    for chart in evaluation_charts(table)[:1]:
        (HERE / f"{name}.svg").write_text(with_legend(chart), encoding="utf-8")
    # The font has neither é nor †.
    captions = [
        f"{one.name}, {one.caption}".replace("Fréchet distance", "fd").replace("†", "*")
        for one in strips(table)
    ]
    panels = {caption: one.picture for caption, one in zip(captions, strips(table), strict=True)}
    sheet(panels, columns=1 if len(panels) <= MOST_IN_A_COLUMN else 2).save(
        HERE / f"{name}.png", optimize=True
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
