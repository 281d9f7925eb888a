"""The documentation is true: its commands run, its links lead somewhere."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_block(text: str, folder: Path) -> str:
    """What the commands of a block print; they must all succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def execute(page: str, folder: Path) -> None:
    """Do what a page says: write its recipes, run its commands, compare what it says they print."""
    printed = ""
    for language, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
        if language == "sh":
            printed = run_block(text, folder)
        elif language == "toml":
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


@pytest.mark.parametrize("page", ["stores.md", "processes.md"])
def test_the_pages_on_stores_and_processes_are_executed(tmp_path: Path, page: str) -> None:
    """Their commands run in order from an empty folder, and print what they say."""
    execute(page, tmp_path)


def test_the_page_on_sweeps_is_executed(tmp_path: Path) -> None:
    """Its commands run in order from an empty folder, and leave the files that it names."""
    execute("sweeps.md", tmp_path)
    for name in re.findall(r"`(runs/losses/[^`\s]*)`", (ROOT / "docs/sweeps.md").read_text()):
        assert (tmp_path / name).exists(), name


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

    from dddm.cli.group import dddm

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
