"""Errors of third-party components end with exit code 4 and name the component."""

import subprocess
from pathlib import Path

from command_line import dddm, write_tiny
from toy_distributions import install, registering

PLUGIN = registering(
    'Kind.METRIC, "d", target="odd_parts.metric:Odd", summary="A distance."',
    'Kind.BACKBONE, "f", target="odd_parts.backbone:Plain", summary="A network."',
)

METRIC = """\
import torch
from dddm.interfaces.metric import Metric

class Odd(Metric):
    def __init__(self, options):
        self.pool = torch.nn.Conv2d(3, 3, 3)

    def distance(self, *, estimate, target):
        return (estimate - target).square().flatten(1).mean(1)
"""

BACKBONE = """\
import torch
from dddm.interfaces.backbone import Backbone

class Plain(Backbone):
    def __init__(self, options, *, shape, classes):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    @property
    def uses_labels(self):
        return False

    def begin(self, *, x_t, t, label):
        return x_t

    def refine(self, cache, *, estimate):
        return self.weight * (cache + estimate)
"""

DISTANCE = "(estimate - target).square().flatten(1).mean(1)"
F = "self.weight * (cache + estimate)"
OUR_METRIC = 'use = "pseudo-huber"\nc = 0.0043'
OUR_BACKBONE = """\
use = "adm"
channels = 8
multipliers = [1, 2]
blocks = 1
attention = [4]
classes = true
"""
SHORT = (('[evaluate]\nfeatures = "pixels"\n', ""), ("epochs = 3", "epochs = 1"),
         ("images = 70", "images = 4"))  # fmt: skip
TRY_METRIC = "try: dddm plugin test odd:d\n"
TRY_BACKBONE = "try: dddm plugin test odd:f\n"


def install_odd(folder: Path, *changes: tuple[str, str]) -> None:
    """The plugin, with parts of its source replaced."""
    install(folder / "site", "dddm-odd", odd_plugin=("odd", PLUGIN))
    parts = folder / "site" / "odd_parts"
    parts.mkdir()
    (parts / "__init__.py").touch()
    sources = {"metric": METRIC, "backbone": BACKBONE}
    for old, new in changes:
        assert any(old in source for source in sources.values())
        sources = {name: source.replace(old, new) for name, source in sources.items()}
    for name, source in sources.items():
        (parts / f"{name}.py").write_text(source)


def run(
    folder: Path, *words: str, metric: str = "odd:d", backbone: str = "odd:f"
) -> subprocess.CompletedProcess[str]:
    write_tiny(
        folder, *SHORT, (OUR_METRIC, f'use = "{metric}"'), (OUR_BACKBONE, f'use = "{backbone}"\n')
    )
    command = words or ("run", "tiny.toml")
    return dddm(*command, cwd=folder, PYTHONPATH=str(folder / "site"))


def expect_plugin_error(done: subprocess.CompletedProcess[str], *says: str) -> None:
    assert done.returncode == 4, done.stderr
    for words in says:
        assert words in done.stderr, done.stderr
    assert "bug in dddm" not in done.stderr
    assert "dddm/cli" not in done.stderr


def test_an_exception_of_a_plugin_is_attributed_to_it(tmp_path: Path) -> None:
    install_odd(tmp_path, (DISTANCE, "self.pool(estimate)"))
    expect_plugin_error(
        run(tmp_path),
        "error: the metric odd:d failed in distance: RuntimeError: Given groups=1",
        "odd_parts/metric.py:9, dddm-odd 1.0\n",
        TRY_METRIC,
        "torch/nn/modules/conv.py",
    )


def test_a_number_that_is_not_finite_at_first(tmp_path: Path) -> None:
    install_odd(tmp_path, (DISTANCE, f"{DISTANCE} / 0"))
    done = run(tmp_path)
    assert done.returncode == 5, done.stderr
    assert "failed, nothing is saved: the loss or a stored value is not finite" in done.stderr
    assert "at: step 1, images" in done.stderr
    assert (
        "try: no step has changed a weight yet, so the metric odd:d computed it from finite "
        "inputs: dddm plugin test odd:d\n"
    ) in done.stderr
    assert "checkpoint" not in done.stderr
    assert "learning_rate" not in done.stderr


def test_a_mistake_in_one_of_several_processes(tmp_path: Path) -> None:
    install_odd(tmp_path, (F, f"{F} if self.training else {{}}['eval']"))
    done = run(tmp_path, "run", "tiny.toml", "--nproc", "2")
    says = "the backbone odd:f failed in refine: KeyError: 'eval'"
    expect_plugin_error(done, says, "odd_parts/backbone.py:17, dddm-odd 1.0\n", TRY_BACKBONE)
