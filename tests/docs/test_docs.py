"""The documentation is true: its commands run, its links lead somewhere."""

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from command_line import environment
from fresh_environment import make_environment

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_block(text: str, folder: Path, *, variables: Mapping[str, str]) -> tuple[str, Path]:
    """What the commands of a block print, and the folder they end in; they must all succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{text}\npwd >&2"],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    *errors, last = done.stderr.splitlines(keepends=True)
    return done.stdout + "".join(errors), Path(last.rstrip("\n"))


def execute(page: str, folder: Path, *, variables: Mapping[str, str] | None = None) -> None:
    """Do what a page says: write its files, run its commands, compare what it says they print.

    Args:
        variables: environment variables; None for those of an environment with this dddm.
    """
    if variables is None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        variables = environment(PATH=path)
    printed = ""
    for language, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
        if language == "sh":
            printed, folder = run_block(text, folder, variables=variables)
        elif language in {"toml", "python"}:
            (folder / text.split("\n")[0].removeprefix("# ")).write_text(text)
        elif language == "text":
            for line in text.splitlines():
                assert line in printed
        else:
            pytest.fail(f"{page} has a block of {language}, which nobody runs")


def test_the_tutorial_is_executed(tmp_path: Path) -> None:
    """Its commands run in order from an empty folder, and print what it says they print."""
    execute("tutorial.md", tmp_path)
    assert (tmp_path / "runs/first/report.html").stat().st_size > 10_000
    assert len(list((tmp_path / "threes-and-eights/images").glob("*.png"))) == 20


@pytest.mark.parametrize(
    "page", ["stores.md", "processes.md", "plugins.md", "own-images.md", "sharing.md"]
)
def test_pages_with_commands_are_executed(tmp_path: Path, page: str) -> None:
    """Their commands run in order from an empty folder, and print what they say."""
    execute(page, tmp_path)


def test_the_page_on_sweeps_is_executed(tmp_path: Path) -> None:
    """Its commands run in order from an empty folder, and leave the files that it names."""
    execute("sweeps.md", tmp_path)
    for name in re.findall(r"`(runs/losses/[^`\s]*)`", (ROOT / "docs/sweeps.md").read_text()):
        assert (tmp_path / name).exists(), name


def test_the_page_on_reports_says_what_a_report_shows(tmp_path: Path) -> None:
    """Every section of a run's page is named, and the recipe with reported results is valid."""
    from dddm.recipe.read import read_recipe
    from dddm.registry.loader import load_catalogue

    text = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    template = (ROOT / "dddm/report/run_page.html.j2").read_text(encoding="utf-8")
    sections = re.findall(r"<h2>(.*?)</h2>", template)
    assert len(sections) >= 10
    assert (
        "**Leak diagnostic" in text
    )  # the diagnosis of an objective has the objective's own title
    named = [name for name in sections if "{{" not in name]
    assert [name for name in named if f"**{name}" not in text] == []
    (recipe,) = (block for language, block in BLOCK.findall(text) if language == "toml")
    (tmp_path / "row.toml").write_text(recipe, encoding="utf-8")
    figures, words = read_recipe(tmp_path / "row.toml", catalogue=load_catalogue()).reported
    assert figures.values == (2.9, 2.79, 1.87)
    assert words.says is not None


@pytest.mark.parametrize(
    "page", ["write-a-metric.md", "write-a-backbone.md", "write-an-objective.md"]
)
def test_the_guides_for_authors_are_executed(tmp_path: Path, dddm_wheel: Path, page: str) -> None:
    """In a fresh environment that has dddm as a wheel, so that installing is part of it."""
    fresh = make_environment(tmp_path, wheels=[dddm_wheel])
    (tmp_path / "empty").mkdir()
    execute(page, tmp_path / "empty", variables=fresh.variables)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the repository."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_files_that_pages_name_exist() -> None:
    """A path in code type, such as `dddm/method/leak.py`, is the path of something."""
    for page in PAGES:
        for name in re.findall(
            r"`((?:dddm|plugins|recipes|benchmarks)/[\w./-]*)`", page.read_text()
        ):
            assert (ROOT / name).exists() or (page.parent / name).exists(), (page.name, name)


def test_commands_of_the_readme_exist() -> None:
    """Each `dddm` command of the README is one that there is, with options that it has."""
    from click.testing import CliRunner

    from dddm.cli.commands import dddm

    text = (ROOT / "README.md").read_text()
    commands = [
        line.partition("#")[0].split()[1:]
        for language, block in BLOCK.findall(text)
        if language == "sh"
        for line in re.split(r"\n|&&", block)
        if line.strip().startswith("dddm ")
    ]
    assert len(commands) >= 10
    for words in commands:
        known = [word for word in words if word not in {">", "recipe.schema.json"}]
        # With --help behind it a command parses what stands before and runs nothing.
        done = CliRunner().invoke(dddm, [*known[:1], "--help"])
        assert done.exit_code == 0, known
        for option in (word for word in known if word.startswith("--")):
            assert option in done.output or known[0] == "plugins", (known, option)


def test_no_page_speaks_of_places_outside() -> None:
    """No page or source names a path outside the repository."""
    for page in [*PAGES, *ROOT.glob("dddm/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        assert "../shared" not in page.read_text(), page


def test_the_page_of_recipes_is_up_to_date() -> None:
    """`python docs/recipes.py` would write what is there."""
    made = runpy.run_path(str(ROOT / "docs" / "recipes.py"))["page"]()
    assert made == (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def test_the_page_of_the_conformance_kit_is_up_to_date() -> None:
    """`python docs/testing.py` would write what is there: every check with its promise."""
    made = runpy.run_path(str(ROOT / "docs" / "testing.py"))["page"]()
    assert made == (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
