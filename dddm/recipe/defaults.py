"""What a recipe means where it says nothing, and what it says but once.  Imports no torch.

Default components are part of the format of recipes: another package cannot change what a recipe
means.
"""

from typing import Final

DEFAULTS: Final = {
    "objective": "dddm:directly-denoising",
    "targets": "dddm:ram",
    "optimizer": "dddm:adam",
    "learning_rate": "dddm:constant",
}
"""By table: `use` may be left out, and so may the table."""

DURATIONS: Final = ("epochs", "steps", "images", "training_flops")
"""Keys of `[train]` of which one says how long it takes."""
