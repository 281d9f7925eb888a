"""The page on Python and the notebook are true: their code runs, on a recipe of seconds."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment, write_tiny

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

FASTER = (
    ("range(600)", "range(3)"),
    ("n_trials=8", "n_trials=3"),
    ('"train.epochs": 12', '"train.epochs": 6'),
    ("EPOCHS = 60", "EPOCHS = 2"),
)
"""What takes long on the pages, and what is executed in its place."""

RUN = """
import ast, json, sys
names = {}
for block in json.load(sys.stdin):
    tree = ast.parse(block)
    shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "block", "exec"), names)
    if shown is not None:  # as a notebook shows it
        value = eval(compile(ast.Expression(shown.value), "block", "eval"), names)
        for show in ("_repr_png_", "_repr_html_", "__repr__"):
            if hasattr(value, show):
                getattr(value, show)()
"""


def blocks_of(page: str) -> list[str]:
    return CODE.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))


def cells_of(notebook: str) -> list[str]:
    contents = json.loads((ROOT / "docs" / notebook).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in contents["cells"] if cell["cell_type"] == "code"]


def execute(blocks: list[str], folder: Path) -> str:
    """Run them in one process, where the recipe `digits` is one of seconds; what they print."""
    small = write_tiny(
        folder,
        ('[evaluate]\nfeatures = "pixels"\n', '[evaluate]\nfeatures = "pixels"\nscores = ["fd"]\n'),
        ("checkpoint_every_epochs = 2", "checkpoint_every_epochs = 2\nscore_images = 20"),
        ('name = "tiny"', 'name = "digits"'),
    )
    with small.open("a") as file:
        file.write('\n[[sample]]\nuse = "annealed"\nsteps = [2]\nimages = 20\n')
    for name in ("digits", "digits_drifting"):  # files come before recipes of dddm
        shutil.copy(small, folder / name)
    for slow, fast in FASTER:
        blocks = [block.replace(slow, fast) for block in blocks]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN],
        input=json.dumps(blocks),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_of_code(block: str) -> int:
    return sum(1 for line in block.splitlines() if line.strip())


def test_the_page_is_executed(tmp_path: Path) -> None:
    """Every block but Optuna's, in order; it leaves what it says."""
    blocks = [block for block in blocks_of("python.md") if "optuna" not in block]
    assert len(blocks) == 9
    assert sum(slow in "".join(blocks) for slow, _ in FASTER) == 1
    printed = execute(blocks, tmp_path).splitlines()
    assert printed[0] == "2"  # the epochs of a recipe
    assert [line.split()[0] for line in printed[1:]] == ["0", "1"]  # each epoch's loss
    assert (tmp_path / "own-loop.png").stat().st_size > 1000
    assert (tmp_path / "runs/first/report.html").exists()


def test_the_lines_that_are_promised() -> None:
    """Sampling takes two lines, training three, a loop of one's own 30 and Optuna 20 to 25."""
    shipped, training, sampling, *_ = blocks_of("python.md")
    assert lines_of_code(shipped) == 2
    assert lines_of_code(training) <= 3
    assert lines_of_code(sampling) <= 2
    (loop,) = (block for block in blocks_of("python.md") if "range(600)" in block)
    assert lines_of_code(loop) <= 30
    (search,) = (block for block in blocks_of("python.md") if "optuna" in block)
    assert lines_of_code(search) <= 20


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="optuna is not installed")
def test_optuna_searches_and_prunes(tmp_path: Path) -> None:
    """The page's search runs; with a pruner that wants less, trials end early and are saved."""
    (search,) = (block for block in blocks_of("python.md") if "optuna" in block)
    pruned = search.replace("MedianPruner(n_startup_trials=2)", "ThresholdPruner(upper=1e-9)")
    more = "import json\nprint(json.dumps([t.state.name for t in study.trials]))"
    (tmp_path / "a").mkdir()
    printed = execute(["import dddm", search, more], tmp_path / "a").splitlines()
    assert ast.literal_eval(printed[0]).keys() == {"rate"}
    assert json.loads(printed[-1]).count("COMPLETE") >= 2
    assert pruned != search
    (tmp_path / "b").mkdir()
    pruned = pruned.replace("print(study.best_params)", "")
    printed = execute(["import dddm", pruned, more], tmp_path / "b").splitlines()
    assert set(json.loads(printed[-1])) == {"PRUNED"}
    for trial in range(3):
        folder = tmp_path / f"b/runs/search/{trial}"
        assert list(folder.glob("checkpoints/step-*"))
        assert not (folder / "scores.json").exists()


def test_the_notebook_is_executed(tmp_path: Path) -> None:
    """Its cells run in order; it has no outputs, which would go stale."""
    contents = json.loads((ROOT / "docs/first-steps.ipynb").read_text(encoding="utf-8"))
    assert contents["nbformat"] == 4
    for cell in contents["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    cells = cells_of("first-steps.ipynb")
    assert len(cells) >= 5
    assert sum("EPOCHS = 60" in cell for cell in cells) == 1
    execute(cells, tmp_path)
    assert list((tmp_path / "runs").rglob("report.html"))
