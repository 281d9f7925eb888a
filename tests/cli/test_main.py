"""Every way in which a command can end becomes an exit code and, for a user's mistake, words."""

import errno
import os
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import torch
from command_line import call, command, dddm, environment, succeeded, write_tiny

from dddm import __version__
from dddm.cli import commands
from dddm.cli.commands import LazyGroup
from dddm.cli.main import main
from dddm.errors import DataError, StoppedEarly


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Runs a command that ends by raising what it is given; returns exit code and stderr."""

    def end(error: BaseException, name: str = "doctor") -> tuple[int, str]:
        @click.command(name=name)
        def raising() -> None:
            raise error

        monkeypatch.setattr(LazyGroup, "get_command", lambda *_: raising)
        with pytest.raises(SystemExit) as leaving:
            main([name])
        assert isinstance(leaving.value.code, int)
        return leaving.value.code, capsys.readouterr().err

    return end


Ending = Callable[..., tuple[int, str]]


def test_a_users_error_is_words(ending: Ending) -> None:
    """What, where and remedy, with the error's own exit code and no traceback."""
    code, shown = ending(DataError("it is torn", where="page 3", remedy="glue it"))
    assert code == 7
    assert shown == "error: it is torn\n  at: page 3\n  try: glue it\n"


def test_a_bug_is_shown_with_a_traceback(ending: Ending) -> None:
    """Exit code 1, where it happened, and what to send us."""
    code, shown = ending(ZeroDivisionError("one by none"))
    assert code == 1
    assert "Traceback" in shown
    assert "ZeroDivisionError: one by none" in shown
    assert "this is a bug in dddm" in shown
    assert "dddm doctor" in shown


def test_a_run_that_stopped_is_no_error(ending: Ending) -> None:
    """75, and how to go on."""
    code, shown = ending(StoppedEarly("stopped by SIGTERM", remedy="the same again"))
    assert (code, shown) == (75, "stopped by SIGTERM\n  try: the same again\n")


@pytest.mark.parametrize(("name", "code"), [("run", 75), ("sample", 75), ("check", 130)])
def test_ctrl_c_outside_a_run(ending: Ending, name: str, code: int) -> None:
    """A run can be taken up again even where it had not begun; anything else was interrupted."""
    ended, shown = ending(KeyboardInterrupt(), name)
    assert ended == code
    assert shown.strip().startswith("stopped")
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space", "a/b"), "no space left on the device\n  at: a/b"),
        (OSError(errno.EDQUOT, "Quota"), "standard output"),
        (MemoryError(), "out of memory"),
        (MemoryError(), 'steps, which "auto" finds, backbone.checkpointing = true where'),
        (MemoryError(), 'or train.precision = "bfloat16"'),
        (torch.OutOfMemoryError("CUDA out of memory"), "CUDA out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 bytes"), "out of memory"),
    ],
)
def test_what_the_machine_lacks_is_no_defect(ending: Ending, error: Exception, words: str) -> None:
    """Space and memory end with exit code 6 and what to do, wherever they ran out."""
    code, shown = ending(error)
    assert code == 6
    assert words in shown
    assert "Traceback" not in shown


def test_version_and_help(tmp_path: Path) -> None:
    """`python -m dddm` is the same command; every command is listed with its summary."""
    assert dddm("--version", cwd=tmp_path).stdout == f"dddm, version {__version__}\n"
    shown = dddm("-h", cwd=tmp_path).stdout
    for name, summary in commands.COMMANDS.items():
        assert f"  {name} " in shown
        assert summary.split()[0] in shown


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_is_there_with_help_and_examples(name: str) -> None:
    """The table names commands that exist, and each shows how it is used."""
    context = click.Context(commands.dddm)
    found = commands.dddm.get_command(context, name)
    assert found is not None
    assert found.name == name
    shown = found.get_help(click.Context(found, info_name=name, parent=context))
    assert f"dddm {name}" in shown.split("Examples:")[1]


@pytest.mark.parametrize(
    ("words", "meant"), [("chek", "check"), ("plugns", "plugins"), ("evalute", "evaluate")]
)
def test_a_mistyped_command_is_suggested(
    words: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The nearest command is named, with exit code 2."""
    with pytest.raises(SystemExit) as leaving:
        main([words])
    assert leaving.value.code == 2
    assert f"Did you mean {meant}" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`dddm schema | head -1` ends quietly."""
    process = subprocess.Popen(
        command("schema"),
        cwd=tmp_path,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    shown = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), shown) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110 - a device
def test_output_onto_a_full_disk(tmp_path: Path) -> None:
    """What cannot be printed is the machine's fault."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            command("schema"),
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 6
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_without_greek(tmp_path: Path) -> None:
    """Letters that the terminal cannot show are printed as escapes."""
    done = dddm("plugins", cwd=tmp_path, PYTHONIOENCODING="iso-8859-5")
    assert done.returncode == 0, done.stderr
    assert "8\\xd78" in done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ch", ["check"]),
        ("check digits_d", ["digits_denoising", "digits_directly_drifting", "digits_drifting"]),
        ("plugins show ad", ["adm", "adam", "adamw"]),
        (
            "plugins show dddm:l",
            ["dddm:learned", "dddm:l1", "dddm:l2", "dddm:lpips", "dddm:linear"],
        ),
        ("sample --sampler a", ["accelerated", "annealed"]),
        ("plugins sh", ["show"]),
        ("weights fetch vg", ["vgg16-397923af.pth"]),
        ("show digits --or", ["--origin"]),
    ],
)
def test_completion_offers_names(
    words: str,
    offered: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Commands, options, recipes and components, by the shell's own mechanism."""
    monkeypatch.setenv("_DDDM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"dddm {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(f"{words}.".split())))
    with pytest.raises(SystemExit):
        main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.removeprefix("plain,") for line in lines if line.startswith("plain,")] == offered


def test_dddm_alone_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([])
    assert leaving.value.code in {0, 2}  # older releases of click say 0
    assert "Commands:" in "".join(capsys.readouterr())


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error(tmp_path: Path, closed: str) -> None:
    """And what is opened meanwhile does not take their place."""
    write_tiny(tmp_path)
    words = shlex.join(command("show", "tiny.toml"))
    done = subprocess.run(
        ["bash", "-c", f"{words} {closed}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_a_recipe_shown_does_not_command_the_terminal(tmp_path: Path) -> None:
    """And reads back as it was."""
    text = 'use = "folder"\npath = "a\\u009b31m\\u202eb"'
    write_tiny(tmp_path, ('use = "digits"', text))
    shown = succeeded(call("show", "tiny.toml", cwd=tmp_path))
    assert "a\\u009b31m\\u202eb" in shown
    assert tomllib.loads(shown)["data"]["path"] == "a\x9b31m\u202eb"
    for more in ("--json", "--origin"):
        printed = succeeded(call("show", "tiny.toml", more, cwd=tmp_path))
        assert not {"\x9b", "\u202e"} & set(printed)
