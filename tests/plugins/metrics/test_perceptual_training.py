"""A recipe with a perceptual metric, through the real command line, in a process of its own."""

import json
from pathlib import Path
from typing import Any

from command_line import dddm, succeeded, write_tiny
from trunks import save_trunk

METRIC = 'use = "pseudo-huber"\nc = 0.0043'
SHORT = (
    ("epochs = 3", "epochs = 2"),
    ("batch_images = 250", "batch_images = 750"),
    ("images = 70", "images = 4"),
    ('[evaluate]\nfeatures = "pixels"\n', ""),
)


def trunk_lines(folder: Path) -> str:
    """A random squeeze trunk, as a recipe names it; images of 8×8 become 17×17."""
    options: dict[str, Any] = {**save_trunk(folder, "squeeze"), "size": 17}
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in options.items())


def test_a_run_trains_with_the_users_trunk(tmp_path: Path) -> None:
    """Guided mix of Pseudo-LPIPS: the loss is finite, and no checkpoint has any of the trunk."""
    metric = f'use = "pseudo-lpips"\n{trunk_lines(tmp_path)}'
    mix = ("estimate_dropout = 0.1", "guided_mix = true")
    recipe = write_tiny(tmp_path, (METRIC, metric), mix, *SHORT)
    succeeded(dddm("run", recipe, cwd=tmp_path))
    (log,) = (tmp_path / "runs").rglob("events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step-done"]
    assert len(losses) == 4
    assert all(0 < loss < 10 for loss in losses)
    checkpoints = list((tmp_path / "runs").rglob("*.safetensors"))
    assert checkpoints
    assert all(b"slice1" not in path.read_bytes() for path in checkpoints)


def test_without_weights_nothing_starts(tmp_path: Path) -> None:
    """The error has URL, SHA-256 and the place for the file; no run folder is left behind."""
    recipe = write_tiny(tmp_path, (METRIC, 'use = "lpips"'), *SHORT)
    weights = tmp_path / "weights"
    done = dddm("run", recipe, cwd=tmp_path, DDDM_WEIGHTS=str(weights), TORCH_HOME=str(tmp_path))
    assert done.returncode == 7
    for words in (
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        str(weights / "vgg16-397923af.pth"),
        "dddm weights fetch vgg16-397923af.pth",
    ):
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


def test_images_too_small_for_the_trunk_are_refused_by_check(tmp_path: Path) -> None:
    """With the place in the recipe and what to write instead, before weights are looked for."""
    recipe = write_tiny(tmp_path, (METRIC, 'use = "lpips"\nsize = 0'), *SHORT)
    done = dddm("check", recipe, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    for words in ("tiny.toml:22:8", "8×8 pixels are too small", "16×16"):
        assert words in done.stderr
