"""A recipe may come from anyone, and name any file: it is refused at once, and shows no secret."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from toy_plugins import RECIPE, TOYS, error_of_toy, read_toy

from dddm.errors import RecipeError
from dddm.recipe.read import read_recipe
from dddm.recipe.source import FOLDERS_VARIABLE
from dddm.recipe.sweep import read_recipe_or_sweep

PRIVATE = "password = 'hunter2'"
EXTENDING = 'format = 2\nextends = {}\nname = "mine"\n'


@contextmanager
def at_once(*, seconds: float = 1.0) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def special_files(folder: Path) -> list[Path]:
    """What a path may lead to that is not a file."""
    os.mkfifo(folder / "pipe.toml")
    (folder / "circle.toml").symlink_to("circle.toml")
    (folder / "zeros.toml").symlink_to("/dev/zero")
    (folder / "folder.toml").mkdir()
    (folder / "huge.toml").write_text("#" * (1 << 20), encoding="utf-8")
    return sorted(folder.iterdir())


def test_a_recipe_must_be_a_file(tmp_path: Path) -> None:
    """Pipes, devices, folders, circles of links and gigabytes are refused without reading them."""
    files = [*special_files(tmp_path), Path("/dev/zero"), Path("a" * 5000), Path("a\0b")]
    for file in files:
        with at_once(), pytest.raises(RecipeError) as refused:
            read_recipe(file, catalogue=TOYS)
        assert len(str(refused.value)) < 2000


def test_what_a_recipe_extends_must_be_one(tmp_path: Path) -> None:
    """The same for `extends` and for a preset; the error names the line that leads there."""
    names = [f'"{file.name}"' for file in special_files(tmp_path)]
    for name in [*names, '"/dev/zero"', '"a\\u0000b"', f'"{"a" * 5000}"', f'"{"a" * 256}.toml"']:
        with at_once():
            message = error_of_toy(tmp_path, EXTENDING.format(name))
            assert len(message) < 2000
            preset = RECIPE.replace('features = "toy:pixels"', f"preset = {name}")
            assert preset != RECIPE
            assert "toy.toml" in error_of_toy(tmp_path, preset) or "huge" in name


@pytest.mark.parametrize("text", [PRIVATE, f"{PRIVATE}\n[x", "root:x:0:0:root"])
def test_a_file_that_is_not_a_recipe_is_not_shown(tmp_path: Path, text: str) -> None:
    """Whether it is valid TOML or not: its lines may be secrets."""
    (tmp_path / "secrets.toml").write_text(text, encoding="utf-8")
    for changed in (
        EXTENDING.format('"secrets.toml"'),
        RECIPE.replace('features = "toy:pixels"', 'preset = "secrets.toml"'),
    ):
        message = error_of_toy(tmp_path, changed)
        assert "does not look like a recipe" in message
        assert not any(words in message for words in ("hunter2", "password", "root:"))


def test_files_elsewhere_are_refused_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a path upwards, an absolute one, or a link; the message says how to allow the folder."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "base.toml").write_text(RECIPE, encoding="utf-8")
    (inside / "link.toml").symlink_to(outside / "base.toml")
    (outside / "preset.toml").write_text("format = 2\n", encoding="utf-8")
    preset = 'preset = "../outside/preset.toml"'
    for text in (
        EXTENDING.format('"../outside/base.toml"'),
        EXTENDING.format(f'"{outside}/base.toml"'),
        EXTENDING.format('"link.toml"'),
        RECIPE.replace('features = "toy:pixels"', preset),
    ):
        monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
        message = error_of_toy(inside, text)
        assert "is outside of the folder of" in message
        assert f"set the environment variable {FOLDERS_VARIABLE} to {outside}" in message
        monkeypatch.setenv(FOLDERS_VARIABLE, os.pathsep.join([str(tmp_path / "x"), str(outside)]))
        if preset in text:
            assert "has no table [evaluate]" in error_of_toy(inside, text)
        else:
            assert read_toy(inside, text).name == "mine"


def test_folders_below_are_inside(tmp_path: Path) -> None:
    """And a base in one may extend another beside the recipe."""
    (tmp_path / "low").mkdir()
    (tmp_path / "base.toml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "low" / "mid.toml").write_text(EXTENDING.format('"../base.toml"'), encoding="utf-8")
    assert read_toy(tmp_path, EXTENDING.format('"low/mid.toml"')).name == "mine"


def test_chains_end(tmp_path: Path) -> None:
    """Of recipes that extend each other, and circles through links."""
    for k in range(40):
        (tmp_path / f"{k}.toml").write_text(EXTENDING.format(f'"{k + 1}.toml"'), encoding="utf-8")
    assert "32 recipes extend each other" in error_of_toy(tmp_path, EXTENDING.format('"0.toml"'))
    (tmp_path / "again.toml").symlink_to("toy.toml")
    assert "in a circle" in error_of_toy(tmp_path, EXTENDING.format('"again.toml"'))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (".".join(["a"] * 600) + " = 1\n", "nested more than"),
        ("a = " + "[" * 300 + "]" * 300 + "\n", "nested more than"),
        ("[" + ".".join(["a"] * 600) + "]\n", "nested more than"),
        (".".join(["a"] * 100_000) + " = 1\n", "nested more than"),
        ("[[" + " . ".join(['"a"', "'b'"] * 20_000) + "]]\n", "nested more than"),
        ("a = { " + ".".join(["a"] * 100_000) + " = 1 }\n", "nested more than"),
        ("a" * 250_000 + "\n", "invalid TOML"),
        ('"' * 200_000 + "\n", "invalid TOML"),
    ],
)
def test_nesting_is_limited(tmp_path: Path, head: str, words: str) -> None:
    """Before anything walks the tables."""
    with at_once():
        assert words in error_of_toy(tmp_path, head + RECIPE)


def test_nesting_on_the_command_line_is_limited(tmp_path: Path) -> None:
    for words in (".".join(["a"] * 600) + "=1", "seed=" + "[" * 300 + "]" * 300):
        with at_once():
            assert "--set" in error_of_toy(tmp_path, RECIPE, words)


def test_names_are_as_long_as_folders_may_be(tmp_path: Path) -> None:
    """256 letters are refused in the recipe, not by the file system after an hour of training."""
    written = next(line for line in RECIPE.split("\n") if line.startswith("name"))
    for length, works in ((200, True), (201, False), (256, False)):
        text = RECIPE.replace(written, f'name = "{"n" * length}"')
        if works:
            assert len(read_toy(tmp_path, text).name) == length
        else:
            message = error_of_toy(tmp_path, text)
            assert "at most 200" in message
            assert len(message) < 2000


def test_many_errors_are_counted(tmp_path: Path) -> None:
    """The first are shown, in the order of their lines."""
    wrong = "".join(f"wrong{k:04} = {k}\n" for k in range(3000))
    with at_once(seconds=5):
        message = error_of_toy(tmp_path, wrong + RECIPE)
    assert "the recipe has 3,000 errors" in message
    assert "and 2,980 more" in message
    assert message.count("toy.toml:") == 20
    first = next(line for line in message.split("\n") if "wrong" in line)
    assert first.startswith(f"{tmp_path}/toy.toml:1:1")


def test_long_lines_are_cut_around_the_caret(tmp_path: Path) -> None:
    """A value of 5,000 letters does not fill the terminal, and the caret stays at its column."""
    line = f'{"x" * 30} = "{"y" * 5000}"; z\n'
    message = error_of_toy(tmp_path, line + RECIPE)
    assert max(map(len, message.split("\n"))) < 250
    shown, caret = [row.partition("| ")[2] for row in message.split("\n") if "|" in row][:2]
    assert shown[caret.index("^")] == ";"
    long = error_of_toy(tmp_path, f"{'k' * 5000} = 1\n" + RECIPE)
    assert len(long) < 2000


def test_escape_sequences_are_not_shown(tmp_path: Path) -> None:
    """A terminal obeys them, and text that reorders itself hides what a line says."""
    for letters in ("\\u001b]0;title\\u0007", "\u009b31m", "\u202e"):
        message = error_of_toy(tmp_path, f'"{letters}" = 1\n' + RECIPE)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(message)


@pytest.mark.parametrize("words", ['text="a\\u0000b"', "text=\udcff"])
def test_text_that_no_file_can_hold_is_refused(tmp_path: Path, words: str) -> None:
    """NUL, and bytes of a command line that are not UTF-8."""
    assert "text must be Unicode" in error_of_toy(tmp_path, RECIPE, f"backbone.{words}")


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    """Some editors write one."""
    assert read_toy(tmp_path, "\ufeff" + RECIPE) == read_toy(tmp_path, RECIPE)
    message = error_of_toy(tmp_path, "\ufeff" + RECIPE.replace("format = 2", "format = 1"))
    assert "toy.toml:1:10" in message


def test_a_table_known_only_by_one_below_it_has_a_place(tmp_path: Path) -> None:
    """`[sampel.x]` is where `sampel` is wrong."""
    at = RECIPE.count("\n") + 1
    message = error_of_toy(tmp_path, RECIPE + "[sampel.x]\na = 1\n")
    assert f"toy.toml:{at}:1: a recipe has no key 'sampel'" in message
    message = error_of_toy(tmp_path, RECIPE + "[[sampel.x]]\na = 1\n")
    assert f"toy.toml:{at}:1: a recipe has no key 'sampel'" in message


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/fast/disk/packed", "/fast/disk/packed"),
        ("../faces", "../faces"),
        ("my images/2024", "my images/2024"),
        ("2024", "2024"),
        ("2024-01-02", "2024-01-02"),
        ("1e3", "1e3"),
        ("true", "true"),
        ('"/x"', "/x"),
        ("~/x", "~/x"),
        ("a=b", "a=b"),
    ],
)
def test_set_takes_paths_without_quotes(tmp_path: Path, written: str, read: str) -> None:
    """Where the option is text, whatever TOML would make of it."""
    recipe = read_toy(tmp_path, RECIPE, f"backbone.text={written}")
    assert recipe.tables["backbone"]["text"] == read


def test_set_takes_one_value(tmp_path: Path) -> None:
    """Not a second line behind it, which would be dropped in silence."""
    assert "not a TOML value" in error_of_toy(tmp_path, RECIPE, "seed=1\nname='x'")


def test_sweeps_are_bounded(tmp_path: Path) -> None:
    """So many entries, times training seeds, are refused before any is checked."""
    (tmp_path / "sweep.toml").write_text(
        RECIPE + "".join(f'[[sweep]]\nname = "e{k}"\n' for k in range(2000)), encoding="utf-8"
    )
    with at_once(seconds=3), pytest.raises(RecipeError, match="2,000"):
        read_recipe_or_sweep(tmp_path / "sweep.toml", catalogue=TOYS)
    (tmp_path / "sweep.toml").write_text(
        f"training_seeds = {list(range(700))}\n"
        + RECIPE
        + "".join(f'[[sweep]]\nname = "e{k}"\n' for k in range(2)),
        encoding="utf-8",
    )
    with at_once(seconds=3), pytest.raises(RecipeError, match="1,400"):
        read_recipe_or_sweep(tmp_path / "sweep.toml", catalogue=TOYS)
