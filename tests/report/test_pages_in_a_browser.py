"""The pages of a run and of a sweep in a real browser: light and dark, on a desk and on a phone."""

from pathlib import Path

import pytest
from attrs import evolve
from browser import DARK, LIGHT, chromium, console_of, look
from report_runs import finished_run
from sweep_folders import finish, make_sweep

from dddm.report.run_page import write_report
from dddm.report.sweep_page import sweep_page
from dddm.report.sweep_results import gather_sweep

READABLE = 4.5
"""WCAG 2, level AA: contrast of text of usual size."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run's page and a sweep's, of which both have all their parts."""
    chromium()
    folder = tmp_path_factory.mktemp("pages")
    recipe, run = finished_run(folder / "run")
    sweep = make_sweep(folder)
    for entry, value in zip(sweep.entries, (9.0, 8.0, 8.5), strict=True):
        finish(entry, folder / "sweep", fd={1: value, 2: 5.0 + value}, deviation=0.25)
    table = evolve(gather_sweep(sweep, folder=folder / "sweep"), paper=("figure 2a: slow < far",))
    page = folder / "sweep.html"
    page.write_text(sweep_page(table), encoding="utf-8")
    return {"run": write_report(recipe, folder=run), "sweep": page}


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_nothing_is_complained_of(pages: dict[str, Path], tmp_path: Path, name: str) -> None:
    """As it is, with its policy in force: nothing blocked, nothing missing, nothing misspelt."""
    assert console_of(pages[name], tmp_path) == []


def test_a_blocked_picture_would_be_complained_of(tmp_path: Path) -> None:
    """The console is heard: a picture that the policy forbids is an error."""
    page = tmp_path / "page.html"
    page.write_text(
        '<html><head><meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
        '</head><body><img src="a.png"></body></html>',
        encoding="utf-8",
    )
    assert console_of(page, tmp_path)


@pytest.mark.parametrize(("name", "charts", "images"), [("run", 6, 10), ("sweep", 3, 0)])
@pytest.mark.parametrize(
    ("width", "scheme"), [(390, DARK), (1280, LIGHT)], ids=["phone, dark", "desk, light"]
)
def test_it_is_readable(  # noqa: PLR0917 - pytest passes them by name
    pages: dict[str, Path],
    tmp_path: Path,
    name: str,
    charts: int,
    images: int,
    width: int,
    scheme: int,
) -> None:
    """No sideways scrolling, all pictures loaded, a ground as dark as was asked for, contrast."""
    seen = look(pages[name], tmp_path, width=width, scheme=scheme)
    assert seen["width"] == width
    assert seen["page"] <= width
    assert (seen["wide"], seen["clipped"], seen["scrolled"]) == ([], [], [])
    assert (len(seen["charts"]), len(seen["images"])) == (charts, images)
    assert all(natural > 0 and shown >= 200 for natural, shown in seen["images"])
    assert all(shown >= 300 for shown in seen["charts"])
    assert (max(seen["background"][:3]) < 64) == (scheme == DARK)
    assert (min(seen["background"][:3]) > 192) == (scheme == LIGHT)
    assert seen["least"][0] >= READABLE, seen["least"]


def test_what_is_wrong_would_be_found(pages: dict[str, Path], tmp_path: Path) -> None:
    """The look is sharp: a wide block, a broken picture and pale words are each seen."""
    text = pages["sweep"].read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(
        text.replace(
            "<main>",
            '<main><div style="width: 900px">x</div><img src="data:image/png;base64,AA">'
            '<p style="color: #999; background: #fff">pale</p>',
        ),
        encoding="utf-8",
    )
    seen = look(page, tmp_path, width=390, scheme=LIGHT)
    assert seen["page"] > 390
    assert seen["wide"]
    assert seen["images"][0][0] == 0
    assert seen["least"][0] < READABLE
