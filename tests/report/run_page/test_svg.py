"""Figures as parts of a page."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from dddm.report.run_page.svg import INK, SERIES, SETTINGS, chart_svg


def draw(name: str, *, description: str = "a line") -> str:
    """A chart with markers and clipped lines, which matplotlib draws by reference."""
    settings: Any = {**SETTINGS, "svg.hashsalt": name}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(2, 1))
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], marker="o", color=SERIES[0])
        axes.set_title("a $title$ & <more>")
        return chart_svg(figure, name=name, description=description)


def names(svg: str) -> set[str]:
    """All ids of a chart."""
    return set(re.findall(r'\bid="([^"]+)"', svg))


def test_two_charts_share_no_name_and_each_finds_its_own() -> None:
    """Ids carry the chart's name, and every reference leads to one of them."""
    one, other = draw("one"), draw("other")
    assert names(one)
    assert not names(one) & names(other)
    used = {a or b for a, b in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', one)}
    assert used
    assert used <= names(one)


def test_the_element_alone_is_left() -> None:
    """No prologue, metadata, style or size of its own; what is left is XML."""
    svg = draw("one")
    root = ET.fromstring(svg)  # noqa: S314 - our own output
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not {"width", "height"} & set(root.attrib)
    assert "viewBox" in root.attrib
    assert "metadata" not in svg
    assert "<style" not in svg


def test_colours_are_the_pages() -> None:
    """No stand-in is left: lines and text take their colours from the page's variables."""
    svg = draw("one")
    assert "var(--series-1)" in svg
    assert "var(--ink-soft)" in svg
    assert INK not in svg
    assert not re.findall(r"#0[0-9]0[0-9]0[0-9]\b", svg)


def test_text_stays_text() -> None:
    """Words are words, not outlines or formulas, and are escaped."""
    root = ET.fromstring(draw("one"))  # noqa: S314 - our own output
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a $title$ & <more>" in texts


def test_the_description_is_escaped() -> None:
    """What is told to those who cannot see cannot leave its attribute."""
    root = ET.fromstring(draw("one", description='"><b a="'))  # noqa: S314 - our own output
    assert root.get("aria-label") == '"><b a="'


def test_the_same_figure_gives_the_same_text() -> None:
    """No date and no random name is in it."""
    assert draw("one") == draw("one")
