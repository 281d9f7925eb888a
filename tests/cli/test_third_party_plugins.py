"""Broken, slow and conflicting plugins do not affect commands that do not need them.

Each is a real distribution on the path, used through the real command line.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import dddm, succeeded, write_tiny
from toy_distributions import install, metric, registering

GOOD = registering(metric("x"))
BROKEN = {
    "chained": (
        "try:\n    {}['key']\nexcept KeyError as e:\n    raise RuntimeError('worse') from e",
        "RuntimeError: worse (caused by KeyError: 'key')",
    ),
    "exits": ("import sys\nsys.exit('bye')", "SystemExit: bye"),
    "unprintable": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "Odd: <exception str() failed>",
    ),
    "syntax": ("def", "SyntaxError: invalid syntax"),
    "newer": (
        registering('Kind.METRIC, "x", target="a:B", summary="s", api=(2, 3)'),
        "supports versions 2 to 3 of the plugin interface, and this dddm has version 1",
    ),
    "no-module": (None, "ModuleNotFoundError: No module named 'toy_no_module'"),
}  # fmt: skip
"""Sources of plugins that fail to load, with the reason; None for a module that is missing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of these, one that works, and one that claims the built-ins' namespace."""
    folder = tmp_path_factory.mktemp("site")
    for name, (source, _) in BROKEN.items():
        module = f"toy_{name.replace('-', '_')}"
        install(folder, f"dddm-toy-{name}", version="1.0", **{module: (name, source or "")})
        if source is None:
            (folder / f"{module}.py").unlink()
    install(folder, "dddm-fine", toy_fine=("fine", GOOD))
    install(folder, "dddm-toy-claims", toy_claims=("dddm.claims", GOOD))
    return folder


def run(site: Path, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command with what lies in `site` installed."""
    return dddm(*words, cwd=folder, PYTHONPATH=str(site), **more)


def statuses(site: Path, folder: Path) -> dict[str, dict[str, Any]]:
    done = run(site, folder, "plugins", "--json")
    return {plugin["name"]: plugin for plugin in json.loads(succeeded(done))["plugins"]}


def test_commands_that_need_none_of_them_work(site: Path, tmp_path: Path) -> None:
    for words in (["--help"], ["show", "digits"]):
        assert succeeded(run(site, tmp_path, *words)) == succeeded(dddm(*words, cwd=tmp_path))
    done = run(site, tmp_path, "check", "digits", PYTHONWARNINGS="default")
    assert succeeded(done) == "digits: no errors\n"
    assert "Traceback" not in done.stderr


def test_completion_works(site: Path, tmp_path: Path) -> None:
    words = {"COMP_WORDS": "dddm plugins show ", "COMP_CWORD": "3"}
    done = run(site, tmp_path, _DDDM_COMPLETE="bash_complete", **words)
    assert {"plain,adm", "plain,x"} <= set(succeeded(done).splitlines())


def test_each_is_listed_with_its_reason(site: Path, tmp_path: Path) -> None:
    found = statuses(site, tmp_path)
    listed = succeeded(run(site, tmp_path, "plugins"))
    for name, (_, reason) in BROKEN.items():
        assert found[name]["status"] == "failed"
        assert reason in found[name]["reason"]
        assert f"dddm-toy-{name}" in found[name]["reason"]
        assert reason in listed
    assert f"{site}/toy_syntax.py:1" in found["syntax"]["reason"]
    claims = "the namespace 'dddm' belongs to dddm, and dddm-toy-claims claims it too"
    assert claims in found["dddm.claims"]["reason"]
    working = {plugin["name"] for plugin in found.values() if plugin["status"] == "loaded"}
    assert "fine" in working
    assert {name for name, one in found.items() if one["package"] == "dddm"} <= working


@pytest.mark.parametrize("name", ["chained", "no-module"])
def test_a_recipe_that_needs_one_fails_with_its_error(
    site: Path, tmp_path: Path, name: str
) -> None:
    write_tiny(tmp_path, ('use = "pseudo-huber"\nc = 0.0043', f'use = "{name}:x"'))
    done = run(site, tmp_path, "run", "tiny.toml")
    assert done.returncode == 4, done.stderr
    assert f"because the plugin {name} failed to load" in done.stderr
    assert BROKEN[name][1] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_target_that_cannot_be_imported_is_the_plugins_error(site: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path, ('use = "pseudo-huber"\nc = 0.0043', 'use = "fine:x"'))
    assert run(site, tmp_path, "check", "tiny.toml").returncode == 0
    done = run(site, tmp_path, "run", "tiny.toml")
    assert done.returncode == 4, done.stderr
    assert "the metric fine:x cannot be loaded: ModuleNotFoundError" in done.stderr
    assert "nowhere:X of dddm-fine" in done.stderr
    assert "Traceback" not in done.stderr


def test_slow_plugins_are_named_with_what_they_import(tmp_path: Path) -> None:
    site = tmp_path / "site"
    source = f"import time, torch\ntime.sleep(1.1)\n{GOOD}"
    install(site, "dddm-slow", toy_slow=("slow", source))
    done = run(site, tmp_path, "plugins", "--timing")
    first = succeeded(done).splitlines()[1].split(maxsplit=1)
    assert float(first[0]) > 1100
    assert first[1] == "slow of dddm-slow 1.0: loaded, imports torch"
    assert "the plugin slow of dddm-slow 1.0 took" in done.stderr
    assert "because it imports torch" in done.stderr
    quick = run(site, tmp_path, "-p", "no:slow", "check", "digits")
    assert succeeded(quick) == "digits: no errors\n"
    assert quick.stderr == ""


def test_a_damaged_distribution_hides_no_other(tmp_path: Path) -> None:
    """Unreadable entry points, and missing metadata."""
    site = tmp_path / "site"
    install(site, "dddm-fine", toy_fine=("fine", GOOD))
    install(site, "dddm-torn", toy_torn=("torn", GOOD))
    (site / "dddm_torn-1.0.dist-info" / "entry_points.txt").write_text("[dddm]\nno equals sign\n")
    install(site, "dddm-bare", toy_bare=("bare", GOOD))
    (site / "dddm_bare-1.0.dist-info" / "METADATA").unlink()
    found = statuses(site, tmp_path)
    assert {found[name]["status"] for name in ("fine", "bare", "dddm.metrics")} == {"loaded"}
    assert "its entry points cannot be read" in found["dddm-torn"]["reason"]
