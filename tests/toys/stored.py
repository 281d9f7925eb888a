"""What the target store of a finished run holds, whatever kind it is and whoever wrote it."""

import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from dddm.interfaces.shards import Shards
from dddm.interfaces.target_store import TargetStore
from dddm.recipe.model import default_shards
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training import checkpoint as checkpoints
from dddm.training.memory import SavedStates


def stored_rows(run: Path) -> Tensor:
    """X̂ of the newest checkpoint, (N, C, H, W), in the order of the images."""
    recipe = read_recipe(str(run / "recipe.toml"), catalogue=load_catalogue())
    found = checkpoints.find_newest(run / "checkpoints").checkpoint
    assert found is not None
    count = recipe.train.shards or default_shards(recipe.batch_units)
    states = SavedStates(found.files, field="estimate", shards=count)
    split = recipe.data.instantiate().splits()["train"]
    shards = Shards(images=len(split), count=count, owned=tuple(range(count)))
    assert recipe.targets is not None
    store: TargetStore = recipe.targets.instantiate()
    with tempfile.TemporaryDirectory() as copied:
        shutil.copytree(run / "memory" / "estimate", copied, dirs_exist_ok=True)
        store.open(
            shards=shards,
            shape=split.shape,
            seed=recipe.seed,
            folder=Path(copied),
            device=torch.device("cpu"),
            kept_snapshots=2,
        )
        store.restore(states)
        rows = store.read(torch.arange(len(split)))
        store.close()
    return rows
