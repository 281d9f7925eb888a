"""New packages: what the templates produce, and where it is written."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dddm.errors import EnvironmentProblem, UsageError
from dddm.interfaces.plugin import Kind
from dddm.scaffold.names import names_of
from dddm.scaffold.new_package import TEMPLATES, create_package, render, write_package

ROOT = Path(__file__).parents[2]
every_kind = pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)


def made(kind: Kind, *, author: str = "Nobody", licence: str | None = "MIT") -> dict[str, str]:
    return render(names_of("dddm-sweet-pea", kind=kind), author=author, licence=licence)


def test_every_kind_has_its_templates() -> None:
    """A kind that is added gets its example in the same change."""
    folders = {path.name for path in TEMPLATES.iterdir()}
    assert folders == {"common", *(kind.value for kind in Kind)}


@every_kind
def test_a_package_is_whole(kind: Kind) -> None:
    """All that a package should have, with its component and its test called after the kind."""
    word = kind.value.replace("-", "_")
    files = made(kind)
    assert {
        ".gitignore", "LICENSE", "README.md", "pyproject.toml", "recipe.toml",
        "src/dddm_sweet_pea/__init__.py", "src/dddm_sweet_pea/py.typed",
        f"src/dddm_sweet_pea/{word}.py", f"tests/test_{word}.py", "tests/test_conformance.py",
    } <= set(files)  # fmt: skip
    assert all(text.endswith("\n") for path, text in files.items() if "py.typed" not in path)
    options = "src/dddm_sweet_pea/options.py"
    assert (options in files) == (f"`{options}`" in files["README.md"])


@every_kind
def test_style_is_kept(kind: Kind, tmp_path: Path) -> None:
    """Ruff finds nothing by the package's own rules, nor by ours in what is to be installed."""
    write_package(made(kind), folder=tmp_path)
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["ignore"]
    for words in (
        ["check", "."],
        ["format", "--check", "."],
        ["check", "--select=ALL", f"--ignore={','.join(ours)}", "src"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ['Zoë "Z" O\'Neil, Ltd.', "a\\b", "{{ x }}", "名前"])
def test_any_author_can_be_written(name: str) -> None:
    """Quotes, backslashes and letters of all kinds come out as they went in."""
    files = made(Kind.METRIC, author=name)
    (author,) = tomllib.loads(files["pyproject.toml"])["project"]["authors"]
    assert author == {"name": name}
    assert f" {name}\n" in files["LICENSE"]


def test_without_a_licence_nothing_is_granted() -> None:
    """There is no file, and the metadata names none."""
    files = made(Kind.METRIC, licence=None)
    assert "LICENSE" not in files
    assert "license" not in tomllib.loads(files["pyproject.toml"])["project"]
    assert "licence" not in files["README.md"]


def test_the_metric_is_thirty_lines_of_ones_own() -> None:
    """Code that is not an import, a docstring or blank, of what `pip install` brings."""
    lines = 0
    for path, text in made(Kind.METRIC).items():
        if path.startswith("src/") and path.endswith(".py"):
            tree = ast.parse(text)
            tree.body = [n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom)]
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    is_text = isinstance(node.body[0], ast.Expr)
                    node.body = node.body[1:] if is_text else node.body
            lines += len(ast.unparse(tree).splitlines())
    assert lines <= 30


def test_a_folder_with_nothing_but_a_repository_is_filled(tmp_path: Path) -> None:
    """Who made the repository first is not told to make another folder."""
    (tmp_path / ".git").mkdir()
    write_package({"a/b.py": "1\n", "c": "2\n"}, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "a", "c"]
    assert (tmp_path / "a/b.py").read_text() == "1\n"


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_nothing_is_written_over(tmp_path: Path, what: str) -> None:
    """A folder with something in it, a file, or a link that leads nowhere stays as it is."""
    place = tmp_path / "there"
    if what == "folder":
        place.mkdir()
        (place / "mine").write_text("mine")
    elif what == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError) as caught:
        write_package({"c": "2\n"}, folder=place)
    assert caught.value.remedy is not None
    assert "--folder" in caught.value.remedy
    assert not (place / "c").exists()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """A path too long for the file system stands for a disk that is full; it can be tried again."""
    with pytest.raises(EnvironmentProblem, match="too long"):
        write_package({"a": "1\n", "b" * 300: "2\n"}, folder=tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    write_package({"a": "1\n"}, folder=tmp_path / "new")


def test_a_place_without_the_right_to_write_is_named(tmp_path: Path) -> None:
    """As a problem of the machine, not as a traceback."""
    if subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout == "0\n":
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        write_package({"a": "1\n"}, folder=tmp_path / "new")


def test_writing_a_package_waits_for_no_torch(tmp_path: Path) -> None:
    """Nor for anything else that is heavy, but for the templates' own engine."""
    code = (
        "import json, sys\n"
        "from dddm.interfaces.plugin import Kind\n"
        "from dddm.scaffold.new_package import create_package\n"
        "from pathlib import Path\n"
        "create_package('dddm-sweet-pea', kind=Kind.BACKBONE, folder=Path('new'))\n"
        "print(json.dumps([m for m in ('torch', 'numpy', 'rich', 'PIL') if m in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_it_lies_in_a_folder_of_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As package indices write it, whatever was typed; and its files are those that are named."""
    monkeypatch.chdir(tmp_path)
    made = create_package("Dddm_Sweet.Pea", kind=Kind.METRIC)
    assert made.folder == Path("dddm-sweet-pea")
    there = {file.relative_to(made.folder).as_posix() for file in made.folder.rglob("*.*")}
    assert {*there, "LICENSE"} == {*made.files}
    assert made.next_commands[0] == "cd dddm-sweet-pea"


def test_here_needs_no_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be typed next can be typed as it stands, in a folder with blanks too."""
    monkeypatch.chdir(tmp_path)
    made = create_package("dddm-sweet-pea", kind=Kind.METRIC, folder=Path("my plugins/new"))
    assert made.next_commands[0] == "cd 'my plugins/new'"
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    here = create_package("dddm-sweet-pea", kind=Kind.METRIC, folder=Path())
    assert here.next_commands == made.next_commands[1:]


@pytest.mark.parametrize(
    ("name", "more", "what"),
    [
        ("dddm focal", {}, "not a valid package name"),
        ("dddm-recipes", {}, "module named dddm_recipes"),
        ("dddm-sweet-pea", {"component": "Sweet"}, "not a valid name for a metric"),
        ("dddm-sweet-pea", {"author": " "}, "not a valid author"),
        ("dddm-sweet-pea", {"author": "A\nB"}, "not a valid author"),
    ],
)
def test_nothing_is_written_when_something_is_refused(
    tmp_path: Path, name: str, more: dict[str, str], what: str
) -> None:
    """The folder is not even made."""
    with pytest.raises(UsageError, match=what) as caught:
        create_package(name, kind=Kind.METRIC, folder=tmp_path / "new", **more)
    assert caught.value.remedy
    assert not (tmp_path / "new").exists()
