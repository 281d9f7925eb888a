"""What a recipe will take, without taking it."""

import json
import re
from pathlib import Path

import pytest
from command_line import dddm, succeeded, write_tiny
from training_runs import UNSCORED, run_tiny

from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.run.event_log import read_events
from dddm.tasks.dry_run import look_ahead


def test_what_is_foreseen_is_what_happens(tmp_path: Path) -> None:
    """Parameters, steps, images and bytes of the store are those of the run itself."""
    path = write_tiny(tmp_path, UNSCORED)
    outlook = look_ahead(read_recipe(path, catalogue=load_catalogue()))
    (started,) = read_events(run_tiny(tmp_path).events, event="run-started")
    assert outlook.parameters == started["parameters"]
    assert outlook.steps == started["total_steps"]
    assert outlook.facts.train_images == started["train_images"]
    assert outlook.plan.stale_images == started["stale_images"]
    # A row takes its four bytes a number; the rest of a store is a few numbers of its own.
    assert outlook.store.memory == pytest.approx(started["store_memory_bytes"], rel=0.01)


def test_nothing_is_made(tmp_path: Path) -> None:
    """The command prints a table and leaves the folder as it was."""
    path = write_tiny(tmp_path)
    text = succeeded(dddm("run", path, "--dry-run", cwd=tmp_path))
    assert re.search(r"network +\d{2,3},\d{3} parameters\n +[1-9][\d.]* MFLOP a forward pass", text)
    assert re.search(r"[kM]B: weights [\d.]+ kB, gradient", text)
    assert "1,500 of 1×8×8, 10 classes" in text
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.toml"]


def test_all_passes_are_counted(tmp_path: Path) -> None:
    """Annealed sampling makes a pass for each step count: 1 + 5 + 10 evaluations an image."""
    changes = (
        ('use = "fixed-time"', 'use = "annealed"'),
        ("[1, 2]", "[1, 5, 10]"),
        ("= 70", "= 64"),
    )
    path = write_tiny(tmp_path, *changes)
    text = succeeded(dddm("run", path, "--dry-run", cwd=tmp_path))
    assert "1,024 network evaluations of one image" in text
    assert "annealed at 1, 5, 10 steps: 64 images × 16 evaluations" in text


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("ram", ("384 kB target store (ram)",)),
        ("fp16", ("192 kB target store (fp16)",)),
        ("mmap", ("24 kB target store (mmap)", "on the disk", "1.15 MB at most")),
        ("device", ("384 kB of it in the device's memory",)),
    ],
)
def test_where_the_store_will_be(tmp_path: Path, store: str, says: tuple[str, ...]) -> None:
    """Bytes of 1,500 estimates of 64 numbers; on the disk with those of two checkpoints."""
    path = write_tiny(tmp_path, ('use = "ram"', f'use = "{store}"'))
    text = succeeded(dddm("run", path, "--dry-run", cwd=tmp_path))
    for words in says:
        assert words in text, text


def test_as_json(tmp_path: Path) -> None:
    """The same for programs: network evaluations in one pass, for one image and for all."""
    path = write_tiny(tmp_path)
    table = json.loads(succeeded(dddm("run", path, "--dry-run", "--json", cwd=tmp_path)))
    assert table["sampling"] == {
        "evaluations": 70 * 2,
        "jobs": [
            {
                "sampler": "fixed-time",
                "steps": [1, 2],
                "images": 70,
                "evaluations_of_image": 2,
                "evaluations": 70 * 2,
            }
        ],
    }
    assert table["training"]["steps"] == 18
    network = table["network"]
    assert network["flops_forward"] == network["flops_begin"] + network["flops_refine"] > 0
