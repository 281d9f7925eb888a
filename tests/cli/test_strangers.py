"""A broken, slow or conflicting plugin harms no command that does not need it.

Each is a real distribution on the path, met through the real command line.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import command, dddm, environment, succeeded, write_tiny
from toy_distributions import HEAD, install, metric, registering

GOOD = registering(metric("x"))

BROKEN = {
    "raises": ("raise ValueError('no luck')", "ValueError: no luck"),
    "chained": (
        "try:\n    {}['key']\nexcept KeyError as e:\n    raise RuntimeError('worse') from e",
        "RuntimeError: worse (caused by KeyError: 'key')",
    ),
    "exits": ("import sys\nsys.exit('bye')", "SystemExit: bye"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "base": ("class Odd(BaseException): pass\nraise Odd('so')", "Odd: so"),
    "unprintable": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "Odd: <exception str() failed>",
    ),
    "syntax": ("def", "SyntaxError: invalid syntax"),
    "twice": (registering(metric("x"), metric("x")), "the metric x is registered twice"),
    "tomorrow": (
        registering('Kind.METRIC, "x", target="a:B", summary="s", api=(2, 3)'),
        "written for version 2 to 3 of the plugin interface, and this dddm has version 1",
    ),
    "options": (
        registering('Kind.METRIC, "x", target="a:B", summary="s", options=dict'),
        "the options of x are no attrs class",
    ),
    "bounds": (
        GOOD.replace("above=0", "above='zero'"), "option eps of x has bounds that are no numbers",
    ),
    "signature": (
        f"{HEAD}@hookimpl\ndef dddm_register(registrar, more): pass",
        "dddm_register must call its argument registrar, and have no other",
    ),
    "no-hook": ("x = 1", "has no hook `dddm_register`"),
    "no-module": (None, "ModuleNotFoundError: No module named 'toy_no_module'"),
}  # fmt: skip
"""Plugins that must be set aside, with words of the reason; without a source there is no file."""

RUDE = {
    "prints": ("print('loud')\nimport sys\nsys.__stdout__.write('louder')", None),
    "writes": ("import os\nos.write(1, b'loud')\nos.system('echo louder')", None),
    "on-stderr": ("import os\nos.write(2, b'aside')", None),
    "no-stdout": ("import sys\nsys.stdout = sys.stderr = None", None),
    "warns": ("import warnings\nwarnings.simplefilter('error')", "leaves a filter for warnings"),
    "logs": (
        "import logging\nlogging.basicConfig(level=0)\nlogging.disable()",
        "changes the root of logging",
    ),
    "moves": ("import os\nos.chdir('/')", "changes the current folder"),
    "threads": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()",
        "starts a thread",
    ),
    "signals": (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)",
        "takes over Ctrl-C or SIGTERM",
    ),
}  # fmt: skip
"""Plugins that do something to the process and then register, with what is remarked of them."""

CLAIMS = "the namespace 'dddm' belongs to dddm, and dddm-toy-claims claims it too"


def module_of(name: str) -> str:
    return f"toy_{name.replace('-', '_')}"


def install_broken(site: Path, name: str) -> None:
    source = BROKEN[name][0]
    install(site, f"dddm-toy-{name}", version="1.0", **{module_of(name): (name, source or "")})
    if source is None:
        (site / f"{module_of(name)}.py").unlink()


def install_rude(site: Path, name: str) -> None:
    source = f"{RUDE[name][0]}\n{GOOD}"
    install(site, f"dddm-toy-{name}", version="1.0", **{module_of(name): (name, source)})


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them at once, and one that claims the namespace of the built-ins."""
    site = tmp_path_factory.mktemp("crowd")
    for name in BROKEN:
        install_broken(site, name)
    for name in RUDE:
        install_rude(site, name)
    install(site, "dddm-toy-claims", toy_claims=("dddm.claims", GOOD))
    return site


def run(site: Path, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command with what lies in `site` installed."""
    return dddm(*words, cwd=folder, PYTHONPATH=str(site), **more)


def statuses(site: Path, folder: Path) -> dict[str, dict[str, Any]]:
    done = run(site, folder, "plugins", "--json")
    return {plugin["name"]: plugin for plugin in json.loads(succeeded(done))["plugins"]}


def test_commands_that_need_none_of_them_do_their_work(crowd: Path, tmp_path: Path) -> None:
    """The same words on stdout as with no stranger installed, and the same exit code."""
    for words in (["--help"], ["check", "digits"], ["show", "digits"], ["run", "--help"]):
        assert succeeded(run(crowd, tmp_path, *words)) == succeeded(dddm(*words, cwd=tmp_path))


def test_completion_survives_all_of_them(crowd: Path, tmp_path: Path) -> None:
    """Names of built-ins and of strangers that loaded are completed, on a stdout of their own."""
    asked = {"COMP_WORDS": "dddm plugins show ", "COMP_CWORD": "3"}
    done = run(crowd, tmp_path, _DDDM_COMPLETE="bash_complete", **asked)
    lines = succeeded(done).splitlines()
    assert {"plain,adm", "plain,x"} <= set(lines)
    assert all(line.startswith("plain,") for line in lines)


def test_each_is_listed_with_its_reason(crowd: Path, tmp_path: Path) -> None:
    """As text and as JSON: status, what went wrong in its last words, where, and the package."""
    found = statuses(crowd, tmp_path)
    listed = succeeded(run(crowd, tmp_path, "plugins"))
    timed = succeeded(run(crowd, tmp_path, "plugins", "--timing"))
    for name, (_, reason) in BROKEN.items():
        assert found[name]["status"] == "set aside"
        assert reason in found[name]["reason"]
        assert f"dddm-toy-{name}" in found[name]["reason"]
        assert reason in listed
        assert f"{name} of dddm-toy-{name} 1.0: set aside" in timed
    assert f"{crowd}/toy_raises.py:1" in found["raises"]["reason"]
    assert f"{crowd}/toy_syntax.py:1" in found["syntax"]["reason"]
    for name, (_, remark) in RUDE.items():
        assert found[name]["status"] == "loaded"
        assert found[name]["remarks"] == ([] if remark is None else [remark])
    assert CLAIMS in found["dddm.claims"]["reason"]
    ours = [plugin for plugin in found.values() if plugin["package"] == "dddm"]
    assert {plugin["status"] for plugin in ours} == {"loaded"}


@pytest.mark.parametrize("name", [*BROKEN, *RUDE])
def test_each_alone_leaves_a_check_as_it_is(tmp_path: Path, name: str) -> None:
    """No one of them is only saved by what another does; and the command ends."""
    site = tmp_path / "site"
    (install_broken if name in BROKEN else install_rude)(site, name)
    done = run(site, tmp_path, "check", "digits", PYTHONWARNINGS="default")
    assert succeeded(done) == "digits: no errors\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_a_recipe_that_needs_one_fails_with_its_error(
    crowd: Path, tmp_path: Path, name: str
) -> None:
    """`dddm run` ends with exit code 4, and says what `dddm plugins` says of it."""
    write_tiny(tmp_path, ('use = "pseudo-huber"\nc = 0.0043', f'use = "{name}:x"'))
    done = run(crowd, tmp_path, "run", "tiny.toml")
    assert done.returncode == 4, done.stderr
    assert f"because the plugin {name} was set aside" in done.stderr
    assert BROKEN[name][1] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_component_that_is_not_there_fails_with_the_plugins_error(
    crowd: Path, tmp_path: Path
) -> None:
    """A plugin that registers well, and whose class cannot be imported."""
    write_tiny(tmp_path, ('use = "pseudo-huber"\nc = 0.0043', 'use = "moves:x"'))
    assert run(crowd, tmp_path, "check", "tiny.toml").returncode == 0
    done = run(crowd, tmp_path, "run", "tiny.toml")
    assert done.returncode == 4, done.stderr
    assert "the metric moves:x cannot be loaded: ModuleNotFoundError" in done.stderr
    assert "nowhere:X of dddm-toy-moves 1.0" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_slow_one_is_named_and_stands_first(tmp_path: Path) -> None:
    """Who waits is told for which plugin, and how to do without it."""
    site = tmp_path / "site"
    install(site, "dddm-slow", toy_slow=("slow", f"import time\ntime.sleep(1.1)\n{GOOD}"))
    done = run(site, tmp_path, "plugins", "--timing")
    first = succeeded(done).splitlines()[1].split()
    assert float(first[0]) > 1100
    assert first[2:] == ["slow", "of", "dddm-slow", "1.0:", "loaded"]
    assert "the plugin slow of dddm-slow 1.0 took 1.1 s to load" in done.stderr
    assert "-p no:slow" in done.stderr
    quick = run(site, tmp_path, "-p", "no:slow", "check", "digits")
    assert succeeded(quick) == "digits: no errors\n"
    assert quick.stderr == ""


def test_one_that_imports_torch_says_so(tmp_path: Path) -> None:
    """Its status and its time show what it does to every command."""
    site = tmp_path / "site"
    install(site, "dddm-heavy", toy_heavy=("heavy", f"import torch\n{GOOD}"))
    shown = succeeded(run(site, tmp_path, "plugins", "--timing")).splitlines()
    assert "heavy of dddm-heavy 1.0: loaded, imports torch" in shown[1]


def test_ctrl_c_is_heard_while_a_plugin_loads(tmp_path: Path) -> None:
    """It ends the command, also where the plugin catches everything."""
    site = tmp_path / "site"
    source = (
        "import time\nopen('loading', 'w').close()\n"
        "try:\n    time.sleep(60)\nexcept BaseException:\n    pass\n"
    )
    install(site, "dddm-deaf", toy_deaf=("deaf", source + GOOD))
    process = subprocess.Popen(
        command("check", "digits"),
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(site)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "loading").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert process.returncode == 130, error
    assert (out, error) == ("", "stopped\n")


def test_a_damaged_distribution_hides_no_other(tmp_path: Path) -> None:
    """Entry points that cannot be read, and metadata that are not there."""
    site = tmp_path / "site"
    install(site, "dddm-fine", toy_fine=("fine", GOOD))
    install(site, "dddm-torn", toy_torn=("torn", GOOD))
    (site / "dddm_torn-1.0.dist-info" / "entry_points.txt").write_text("[dddm]\nno equals sign\n")
    install(site, "dddm-bare", toy_bare=("bare", GOOD))
    (site / "dddm_bare-1.0.dist-info" / "METADATA").unlink()
    assert succeeded(run(site, tmp_path, "check", "digits")) == "digits: no errors\n"
    found = statuses(site, tmp_path)
    assert {found[name]["status"] for name in ("fine", "bare", "dddm.metrics")} == {"loaded"}
    assert "its entry points cannot be read" in found["dddm-torn"]["reason"]
